"""Seal the petitioner record 密封信访人信息 so that only named nodes can read it.

Each case has a random key of its own. The petitioner is encrypted under it; the key itself is
wrapped once for each node that needs it. To let a further node read, its wrap travels in a later
event (`petitioner_keys` of case.forwarded, case.assigned, case.copied); the record never changes.

    SealedPetitioner  {suite, nonce bytes, ciphertext bytes, keys: [WrappedKey]}
    WrappedKey        {node, key_id, suite, ephemeral_key bytes, nonce bytes, wrapped_key bytes}

docs/sealing.md has the exact bytes, for implementations in other languages.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.errors import PetitionLinkError
from schemas.sealing.cipher_suites import X25519_AES_GCM, Cipher, Secret, Suite, framed, suite_named
from schemas.sealing.petitioner import from_plaintext, to_plaintext

SealedPetitioner = dict[str, Any]
WrappedKey = dict[str, Any]

# NIST SP 800-38D allows 2^32 random nonces under one key. At 2^20 the chance of any repeat is
# below 2^-57, and a new pair costs 0.1 ms per recipient, once in a million.
MAX_WRAPS_PER_PAIR = 1 << 20

_RECORD_LABEL = "petition sealed record v1"
_WRAP_LABEL = "petition wrapped key v1"
_DERIVE_LABEL = "petition key-encryption key v1"


class SealBroken(PetitionLinkError):
    """A sealed record or wrapped key was changed, moved to another case, or is malformed."""


class NotForThisNode(PetitionLinkError):
    """No wrapped key of the case is for this node: it may not read the petitioner."""


class PublicKey(NamedTuple):
    """A node's public key; `key_id` names it among the keys the node has had."""

    node: str
    key_id: str
    key: bytes


class KeyPair(NamedTuple):
    """A node's private key and its public one; the private part never shows in repr."""

    public: PublicKey
    private: Secret


class Sealer:
    """Seals petitioners and wraps case keys, many per second.

    One ephemeral key pair serves for many records, and the key-encryption key with a recipient is
    derived once. That is safe: under that key every wrap has a new random 96-bit nonce and wraps a
    new random key, and the pair is renewed after `MAX_WRAPS_PER_PAIR` and with each process. Two
    events with the same ephemeral key came from one process, which emitter and time show anyway.
    The private half is never stored.
    """

    def __init__(self, suite: str = X25519_AES_GCM) -> None:
        self._suite = suite_named(suite)
        self._ephemeral = _Ephemeral(self._suite)
        # A record and a wrap are bound to these, and to the case id after them.
        self._record_bound = framed(_RECORD_LABEL, suite)
        self._wrap_bound = framed(_WRAP_LABEL, suite)

    def seal(
        self, case_id: str, petitioner: Mapping[str, str], recipients: Sequence[PublicKey]
    ) -> tuple[SealedPetitioner, Secret]:
        """Return the sealed record and the case key, which the caller must not keep.

        Raises `Invalid` if the petitioner has an unknown field or bad text.
        """
        plaintext = to_plaintext(petitioner)
        suite = self._suite
        key, nonce = Secret(os.urandom(suite.key_bytes)), os.urandom(suite.nonce_bytes)
        bound = self._record_bound + framed(case_id)
        record = {
            "suite": suite.name,
            "nonce": nonce,
            "ciphertext": suite.cipher(key).encrypt(nonce, plaintext, bound),
            "keys": self.rewrap(key, case_id, recipients),
        }
        return record, key

    def rewrap(self, key: bytes, case_id: str, recipients: Sequence[PublicKey]) -> list[WrappedKey]:
        """Return the case key wrapped for each recipient; raise `SealBroken` for a bad key."""
        if not recipients:
            raise ValueError("a case key wrapped for nobody is lost")
        ephemeral = self._current(len(recipients))
        bound = self._wrap_bound + framed(case_id)
        return [self._wrapped(ephemeral, key, bound, recipient) for recipient in recipients]

    def _wrapped(
        self, ephemeral: _Ephemeral, key: bytes, bound: bytes, recipient: PublicKey
    ) -> WrappedKey:
        nonce = os.urandom(self._suite.nonce_bytes)
        return {
            "node": recipient.node,
            "key_id": recipient.key_id,
            "suite": self._suite.name,
            "ephemeral_key": ephemeral.public,
            "nonce": nonce,
            "wrapped_key": ephemeral.cipher_for(recipient).encrypt(nonce, key, bound),
        }

    def _current(self, wraps: int) -> _Ephemeral:
        """Return the pair to use for these wraps, a new one after the limit."""
        ephemeral = self._ephemeral
        if ephemeral.wraps + wraps > MAX_WRAPS_PER_PAIR:
            self._ephemeral = ephemeral = _Ephemeral(self._suite)
        ephemeral.wraps += wraps
        return ephemeral


class _Ephemeral:
    """One ephemeral pair, how often it was used, and a ready cipher for each recipient."""

    __slots__ = ("_ciphers", "_private", "_suite", "public", "wraps")

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._private, self.public = suite.new_pair()
        self._ciphers: dict[PublicKey, Cipher] = {}
        self.wraps = 0

    def cipher_for(self, recipient: PublicKey) -> Cipher:
        cipher = self._ciphers.get(recipient)
        if cipher is None:
            cipher = self._ciphers[recipient] = self._derived(recipient)
        return cipher

    def _derived(self, recipient: PublicKey) -> Cipher:
        info = _derive_info(self._suite, recipient, self.public)
        try:
            return self._suite.cipher(self._suite.derived(self._private, recipient.key, info))
        except ValueError:
            raise SealBroken(
                f"public key {recipient.key_id} of node {recipient.node} is not usable: "
                "compare it with the one that node published"
            ) from None


def unseal(
    record: SealedPetitioner, case_id: str, key_pair: KeyPair, extra_keys: Iterable[WrappedKey] = ()
) -> dict[str, str]:
    """Return the petitioner of a case: the five fields, "" if unknown.

    `extra_keys` are the wraps of later events. Raises `NotForThisNode` if neither they nor the
    record have one for this pair, `SealBroken` if none opens.
    """
    key = case_key(record, case_id, key_pair, extra_keys)
    try:
        suite = suite_named(record["suite"])
        bound = framed(_RECORD_LABEL, suite.name, case_id)
        return from_plaintext(_opened(suite, key, record["nonce"], record["ciphertext"], bound))
    except ValueError as error:
        raise SealBroken(
            f"the petitioner record of case {case_id} does not open: {error}"
        ) from None


def case_key(
    record: SealedPetitioner, case_id: str, key_pair: KeyPair, extra_keys: Iterable[WrappedKey] = ()
) -> Secret:
    """Return the key of the case, to `rewrap` it for a further node; raise as `unseal` does.

    One wrap that opens is enough: broken ones, from any node, do no harm.
    """
    own = key_pair.public
    wraps = [
        wrap
        for wrap in (*record["keys"], *extra_keys)
        if wrap["node"] == own.node and wrap["key_id"] == own.key_id
    ]
    if not wraps:
        raise NotForThisNode(
            f"the petitioner of case {case_id} is not sealed for node {own.node} "
            f"(key {own.key_id}): a node that can read it must forward or copy the case"
        )
    return _first_that_opens(wraps, case_id, key_pair)


def _first_that_opens(wraps: Sequence[WrappedKey], case_id: str, key_pair: KeyPair) -> Secret:
    reason = ""
    for wrap in wraps:
        try:
            return _unwrapped(wrap, case_id, key_pair)
        except ValueError as error:
            reason = str(error)
    raise SealBroken(
        f"the key of case {case_id} wrapped for node {key_pair.public.node} does not open: {reason}"
    )


def _unwrapped(wrap: WrappedKey, case_id: str, key_pair: KeyPair) -> Secret:
    suite = suite_named(wrap["suite"])
    info = _derive_info(suite, key_pair.public, wrap["ephemeral_key"])
    bound = framed(_WRAP_LABEL, suite.name, case_id)
    key = suite.derived(key_pair.private, wrap["ephemeral_key"], info)
    return Secret(_opened(suite, key, wrap["nonce"], wrap["wrapped_key"], bound))


def _opened(suite: Suite, key: bytes, nonce: bytes, data: bytes, bound: bytes) -> bytes:
    if len(nonce) != suite.nonce_bytes or len(key) != suite.key_bytes:
        raise ValueError(f"its nonce or key has the wrong length for {suite.name}")
    return suite.cipher(key).open(nonce, data, bound)


def _derive_info(suite: Suite, recipient: PublicKey, ephemeral_key: bytes) -> bytes:
    """Return what binds the key to suite, node, key id and both public keys (as HPKE does)."""
    context = framed(_DERIVE_LABEL, suite.name, recipient.node, recipient.key_id)
    return context + ephemeral_key + recipient.key
