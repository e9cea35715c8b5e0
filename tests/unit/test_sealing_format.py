"""The bytes of docs/sealing.md, written down a second time without our own modules."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.sealing import cipher_suites
from schemas.sealing.cipher_suites import Cipher, Secret
from schemas.sealing.sealed_record import KeyPair, PublicKey, SealBroken, Sealer, unseal

SUITE = "X25519-HKDF-SHA256+AES-256-GCM"
PRIVATE = bytes(range(1, 33))
NODE, KEY_ID, CASE = "370000", "00112233aabbccdd", "0190b7e2-0000-7000-8000-000000000001"

# Made once by the first release; it must open for as long as the ledgers live.
GOLDEN: dict[str, Any] = {
    "nonce": "46ada150fa824f460575bdd6",
    "ciphertext": (
        "7e70f4cd8a59abd690b5123156a7d578b2851688a2f3d662c6cbc99e140d7761a43568de7b85e176"
        "4d35357d0e215af1645cfa9a103534998d0c8c8f3171172a5fba90c8a5747fe9fe04ba0408501fc5"
        "19a83e5adaf697d24705218fc24140285e5cd8a6d62bd9418ae4d7d45f2915558c60ae2d4583b3e7"
        "f9016a14a16b686705ad980be8b8ac87bb5297697bc85b00"
    ),
    "wrap": {
        "ephemeral_key": "e551d9a970a8fb41341f9a7d433543a2e25ff8ba876e57919c09057c26f6860c",
        "nonce": "76c6ccc2aa01a5fc677fa2f3",
        "wrapped_key": (
            "7cc37626dad7bc5c66e54fed511a303d58d8a986fd9a03f89e624496b37a32c4"
            "e519ccd8594446294b78b6afd1b6756f"
        ),
    },
}


def framed(*parts: str) -> bytes:
    return b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)


def key_encryption_key(private: bytes, peer: bytes, recipient: bytes, ephemeral: bytes) -> bytes:
    shared = X25519PrivateKey.from_private_bytes(private).exchange(
        X25519PublicKey.from_public_bytes(peer)
    )
    info = framed("petition key-encryption key v1", SUITE, NODE, KEY_ID) + ephemeral + recipient
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(shared)


def public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def own_pair() -> KeyPair:
    return KeyPair(PublicKey(NODE, KEY_ID, public_of(PRIVATE)), Secret(PRIVATE))


def test_a_record_can_be_opened_with_the_documented_steps_alone() -> None:
    record, _ = Sealer().seal(CASE, {"name": "李四", "phone": "1"}, [own_pair().public])
    (wrap,) = record["keys"]
    ephemeral = wrap["ephemeral_key"]
    kek = key_encryption_key(PRIVATE, ephemeral, public_of(PRIVATE), ephemeral)
    bound = framed("petition wrapped key v1", SUITE, CASE)
    key = AESGCM(kek).decrypt(wrap["nonce"], wrap["wrapped_key"], bound)
    bound = framed("petition sealed record v1", SUITE, CASE)
    plaintext = AESGCM(key).decrypt(record["nonce"], record["ciphertext"], bound)
    assert plaintext.rstrip(b" ").decode() == (
        '{"address":"","id_number":"","id_type":"","name":"李四","phone":"1"}'
    )
    assert [wrap["suite"], record["suite"]] == [SUITE, SUITE]


def test_a_record_of_the_first_release_still_opens() -> None:
    record = {
        "suite": SUITE,
        "nonce": bytes.fromhex(GOLDEN["nonce"]),
        "ciphertext": bytes.fromhex(GOLDEN["ciphertext"]),
        "keys": [
            {"node": NODE, "key_id": KEY_ID, "suite": SUITE}
            | {name: bytes.fromhex(text) for name, text in GOLDEN["wrap"].items()}
        ],
    }
    assert unseal(record, CASE, own_pair())["name"] == "张三"


def test_fields_that_a_later_release_adds_are_kept() -> None:
    record = documented_record(b'{"email":"a@example.org","name":"\xe5\xbc\xa0"}')
    opened = unseal(record, CASE, own_pair())
    assert opened["email"] == "a@example.org"
    assert opened["phone"] == ""


@pytest.mark.parametrize("plaintext", [b"", b"[]", b'{"name":7}', b'{"name":"\xff"}', b"null"])
def test_a_well_sealed_record_that_is_no_petitioner_is_refused(plaintext: bytes) -> None:
    with pytest.raises(SealBroken, match=CASE):
        unseal(documented_record(plaintext), CASE, own_pair())


def documented_record(plaintext: bytes, key: bytes = bytes(32)) -> dict[str, Any]:
    """Return a record made by the documented steps, as another implementation would."""
    bound = framed("petition sealed record v1", SUITE, CASE)
    return {
        "suite": SUITE,
        "nonce": bytes(12),
        "ciphertext": AESGCM(key).encrypt(bytes(12), plaintext, bound),
        "keys": Sealer().rewrap(key, CASE, [own_pair().public]),
    }


class _Toy:
    """A second suite, to show that one is added by an entry alone. It protects nothing."""

    name = "TOY"
    key_bytes = 4
    nonce_bytes = 4

    def new_pair(self) -> tuple[Secret, bytes]:
        return Secret(b"priv"), b"publ"

    def public_of(self, private: bytes) -> bytes:
        return b"publ"

    def derived(self, private: bytes, public: bytes, info: bytes) -> Secret:
        return Secret(info[-4:])

    def cipher(self, key: bytes) -> Cipher:
        return _Mirror()


class _Mirror:
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        return data[::-1]

    def open(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        return data[::-1]


def test_a_further_suite_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cipher_suites.SUITES, "TOY", _Toy())
    pair = KeyPair(PublicKey(NODE, KEY_ID, b"publ"), Secret(b"priv"))
    record, _ = Sealer("TOY").seal(CASE, {"name": "赵六"}, [pair.public])
    assert record["suite"] == record["keys"][0]["suite"] == "TOY"
    assert unseal(record, CASE, pair)["name"] == "赵六"
