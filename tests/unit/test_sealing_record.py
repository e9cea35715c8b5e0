"""A sealed record can be read only by the named nodes, and only in its own case."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Invalid
from schemas.sealing import sealed_record
from schemas.sealing.cipher_suites import X25519_AES_GCM, suite_named
from schemas.sealing.petitioner import MAX_FIELD_CHARACTERS, PADDING_BYTES, PETITIONER_FIELDS
from schemas.sealing.sealed_record import (
    KeyPair,
    NotForThisNode,
    PublicKey,
    SealBroken,
    Sealer,
    case_key,
    unseal,
)

CASE = "0190b7e2-0000-7000-8000-000000000001"
PETITIONER = {
    "name": "张三",
    "id_type": "resident",
    "id_number": "37010219900307123X",
    "phone": "13800000000",
    "address": "山东省济南市历下区",
}

texts = st.text(max_size=60).filter(lambda text: "\0" not in text)
petitioners = st.dictionaries(st.sampled_from(PETITIONER_FIELDS), texts)


def pair_of(node: str, key_id: str = "0123456789abcdef") -> KeyPair:
    private, public = suite_named(X25519_AES_GCM).new_pair()
    return KeyPair(PublicKey(node, key_id, public), private)


SHANDONG = pair_of("370000")
NATIONAL = pair_of("000000")
BEIJING = pair_of("110000")
SEALER = Sealer()


def sealed(*pairs: KeyPair) -> dict[str, Any]:
    record, _ = SEALER.seal(CASE, PETITIONER, [pair.public for pair in pairs])
    return record


@given(petitioner=petitioners)
def test_every_recipient_reads_what_was_sealed(petitioner: dict[str, str]) -> None:
    record, key = SEALER.seal(CASE, petitioner, [SHANDONG.public, NATIONAL.public])
    expected = {name: petitioner.get(name, "") for name in PETITIONER_FIELDS}
    assert unseal(record, CASE, SHANDONG) == expected
    assert unseal(record, CASE, NATIONAL) == expected
    assert case_key(record, CASE, NATIONAL) == key


def test_a_node_that_is_not_named_cannot_read_it() -> None:
    with pytest.raises(NotForThisNode, match="110000"):
        unseal(sealed(SHANDONG), CASE, BEIJING)


def test_a_wrap_from_a_later_event_lets_a_further_node_read_it() -> None:
    record = sealed(SHANDONG, NATIONAL)
    key = case_key(record, CASE, NATIONAL)
    wraps = Sealer().rewrap(key, CASE, [BEIJING.public])
    assert unseal(record, CASE, BEIJING, wraps) == PETITIONER
    assert case_key(record, CASE, BEIJING, wraps) == key


def test_a_record_moved_to_another_case_does_not_open() -> None:
    with pytest.raises(SealBroken, match="another-case"):
        unseal(sealed(SHANDONG), "another-case", SHANDONG)


def test_a_record_under_the_key_of_another_case_does_not_open() -> None:
    record = sealed(SHANDONG)
    other, _ = SEALER.seal("another-case", PETITIONER, [SHANDONG.public])
    with pytest.raises(SealBroken, match="petitioner record"):
        unseal({**other, "keys": record["keys"]}, CASE, SHANDONG)


def test_a_wrap_relabelled_for_another_key_id_does_not_open() -> None:
    newer = KeyPair(SHANDONG.public._replace(key_id="fedcba9876543210"), SHANDONG.private)
    record = sealed(SHANDONG)
    record["keys"][0]["key_id"] = newer.public.key_id
    with pytest.raises(SealBroken, match="wrapped for node 370000"):
        unseal(record, CASE, newer)


def test_the_wrap_is_found_by_key_id_after_a_rotation() -> None:
    old, new = pair_of("370000", "a" * 16), pair_of("370000", "b" * 16)
    record = sealed(old, new)
    assert unseal(record, CASE, old) == unseal(record, CASE, new) == PETITIONER


def test_a_broken_wrap_does_not_hide_a_good_one() -> None:
    record = sealed(SHANDONG)
    broken = {**record["keys"][0], "nonce": bytes(12)}
    record["keys"].insert(0, broken)
    assert unseal(record, CASE, SHANDONG) == PETITIONER


@given(data=st.data())
def test_no_flipped_bit_goes_unnoticed(data: st.DataObject) -> None:
    record = copy.deepcopy(sealed(SHANDONG))
    holder, name = data.draw(
        st.sampled_from(
            [(record, "nonce"), (record, "ciphertext")]
            + [(record["keys"][0], name) for name in ("ephemeral_key", "nonce", "wrapped_key")]
        )
    )
    value = bytearray(holder[name])
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    holder[name] = bytes(value)
    with pytest.raises(SealBroken) as refused:
        unseal(record, CASE, SHANDONG)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("nonce", b""),
        ("wrapped_key", b""),
        ("ephemeral_key", b"short"),
        ("ephemeral_key", bytes(32)),  # a point of small order
        ("suite", "ROT13"),
    ],
)
def test_a_malformed_wrap_is_one_clear_line(place: str, value: object) -> None:
    record = sealed(SHANDONG)
    record["keys"][0][place] = value
    with pytest.raises(SealBroken, match=CASE):
        unseal(record, CASE, SHANDONG)


def test_a_suite_of_a_later_release_is_named() -> None:
    with pytest.raises(SealBroken, match="'SM2-SM3-SM4-GCM' is not in this release"):
        unseal({**sealed(SHANDONG), "suite": "SM2-SM3-SM4-GCM"}, CASE, SHANDONG)


def test_a_shorter_case_key_is_refused() -> None:
    record = sealed(SHANDONG)
    wraps = SEALER.rewrap(bytes(16), CASE, [SHANDONG.public])
    with pytest.raises(SealBroken, match="wrong length"):
        unseal({**record, "keys": wraps}, CASE, SHANDONG)


def test_an_unusable_public_key_is_named() -> None:
    with pytest.raises(SealBroken, match="beef of node 110000"):
        Sealer().seal(CASE, PETITIONER, [PublicKey("110000", "beef", bytes(32))])


def test_a_record_for_nobody_is_not_made() -> None:
    with pytest.raises(ValueError, match="nobody"):
        SEALER.seal(CASE, PETITIONER, [])


@pytest.mark.parametrize("name", ["王五", "王五六七", "买买提·吐尔逊", "Q"])
def test_the_length_of_a_name_does_not_show(name: str) -> None:
    petitioner = {**PETITIONER, "name": name, "address": ""}
    record, _ = SEALER.seal(CASE, petitioner, [SHANDONG.public])
    tag_bytes = 16
    assert len(record["ciphertext"]) - tag_bytes == 2 * PADDING_BYTES


def test_the_same_petitioner_never_seals_to_the_same_bytes() -> None:
    records = [sealed(SHANDONG) for _ in range(20)]
    assert len({record["ciphertext"] for record in records}) == 20
    assert len({record["nonce"] for record in records}) == 20
    assert len({record["keys"][0]["nonce"] for record in records}) == 20


def test_nothing_of_the_petitioner_is_in_the_record() -> None:
    shown = repr(sealed(SHANDONG, NATIONAL)).encode()
    for value in PETITIONER.values():
        assert value.encode() not in shown
        assert repr(value.encode())[2:-1].encode() not in shown


def test_the_ephemeral_pair_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_record, "MAX_WRAPS_PER_PAIR", 4)
    sealer = Sealer()
    recipients = [SHANDONG.public, NATIONAL.public]
    records = [sealer.seal(CASE, PETITIONER, recipients)[0] for _ in range(5)]
    used = [record["keys"][0]["ephemeral_key"] for record in records]
    assert [len({*used[:2]}), len({*used[2:4]}), len({*used})] == [1, 1, 3]
    assert all(unseal(record, CASE, NATIONAL) == PETITIONER for record in records)


def test_two_sealers_use_different_pairs() -> None:
    ephemeral = {
        Sealer().seal(CASE, {}, [SHANDONG.public])[0]["keys"][0]["ephemeral_key"] for _ in range(3)
    }
    assert len(ephemeral) == 3


@pytest.mark.parametrize(
    ("petitioner", "problem"),
    [
        ({"nickname": "小三"}, "petitioner.'nickname': unknown"),
        ({"name": 7}, "petitioner.name: must be text"),
        ({"phone": None}, "petitioner.phone: must be text"),
        ({"address": "x" * (MAX_FIELD_CHARACTERS + 1)}, "501 characters, at most 500"),
        ({"name": "a\0b"}, "petitioner.name: has a NUL"),
        ({"name": "\ud800"}, "half a surrogate"),
    ],
)
def test_a_bad_petitioner_is_refused_without_showing_its_values(
    petitioner: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Invalid) as refused:
        SEALER.seal(CASE, petitioner, [SHANDONG.public])
    assert problem in str(refused.value)
    assert not any(str(value) in str(refused.value) for value in petitioner.values() if value != 7)


def test_secrets_do_not_show() -> None:
    _, key = SEALER.seal(CASE, PETITIONER, [SHANDONG.public])
    for secret in (key, SHANDONG.private):
        for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", f"{(secret,)}"):
            assert "Secret(32 bytes)" in shown
    assert "Secret(32 bytes)" in repr(SHANDONG)
