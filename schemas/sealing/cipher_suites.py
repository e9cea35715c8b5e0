"""The cipher suites 算法套件 of sealed records, by name.

A record names the suite it was sealed with, so a second one (SM2/SM3/SM4 for the commercial
cryptography assessment 密评) is one more entry in `SUITES`; records of the first stay readable.
A suite handles keys and bytes, not cases or nodes.
"""

import os
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

X25519_AES_GCM = "X25519-HKDF-SHA256+AES-256-GCM"


class Secret(bytes):
    """Key bytes that are not shown in a log line, a traceback or a failed assertion."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Secret({len(self)} bytes)"

    __str__ = __repr__


class Cipher(Protocol):
    """Authenticated encryption under one key, already set up."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the ciphertext with its tag; the nonce must be new for this key."""

    def open(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext; raise `ValueError` if anything was changed or the key is wrong."""


class Suite(Protocol):
    """Key agreement, key derivation and encryption that belong together."""

    name: str
    key_bytes: int
    nonce_bytes: int

    def new_pair(self) -> tuple[Secret, bytes]:
        """Return a new private key and its public key, as raw bytes."""

    def public_of(self, private: bytes) -> bytes:
        """Return the public key of a private one; raise `ValueError` if that is not a key."""

    def derived(self, private: bytes, public: bytes, info: bytes) -> Secret:
        """Return the shared key, bound to `info`; raise `ValueError` if a key is not one."""

    def cipher(self, key: bytes) -> Cipher:
        """Return the cipher of `key` (`key_bytes` long)."""


class _AesGcm:
    """AES-256-GCM (NIST SP 800-38D) with one kind of failure."""

    __slots__ = ("_aead", "encrypt")

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self.encrypt = self._aead.encrypt

    def open(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        try:
            return self._aead.decrypt(nonce, data, associated_data)
        except InvalidTag:
            raise ValueError("its content was changed or belongs elsewhere") from None


class _X25519AesGcm:
    """X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM."""

    name = X25519_AES_GCM
    key_bytes = 32
    nonce_bytes = 12  # 96 bits, the length GCM is specified for

    def new_pair(self) -> tuple[Secret, bytes]:
        private = Secret(os.urandom(32))
        return private, self.public_of(private)

    def public_of(self, private: bytes) -> bytes:
        return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    def derived(self, private: bytes, public: bytes, info: bytes) -> Secret:
        # exchange() refuses the points of small order, whose shared secret is all zeros.
        shared = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
        hkdf = HKDF(algorithm=hashes.SHA256(), length=self.key_bytes, salt=None, info=info)
        return Secret(hkdf.derive(shared))

    def cipher(self, key: bytes) -> Cipher:
        return _AesGcm(key)


SUITES: dict[str, Suite] = {suite.name: suite for suite in (_X25519AesGcm(),)}


def suite_named(name: str) -> Suite:
    """Return the suite with this name; raise `ValueError` if this release has none."""
    try:
        return SUITES[name]
    except KeyError:
        known = ", ".join(SUITES)
        raise ValueError(f"suite {name[:80]!r} is not in this release (it has {known})") from None


def framed(*parts: str) -> bytes:
    """Join strings unambiguously: each in UTF-8 after its length (4 bytes, big-endian)."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
