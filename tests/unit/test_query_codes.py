"""Query codes as people type them, and addresses as they are counted."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.enquiry_access.attempt_limit import network_of
from node.enquiry_access.query_codes import ALPHABET, LENGTH, Stored, matches, shown, understood

_CODE = "0123ABCDXYZ9"


@pytest.mark.parametrize(
    "typed",
    [
        "0123-ABCD-XYZ9",
        "0123abcdxyz9",
        " 0123 ABCD XYZ9 ",
        "O123—ABCD–XYZ9",
        "oi23－ａｂｃｄ－ＸＹＺ９",
        "0l23ABCDXYZ9",
        "0123\tABCD\u3000XYZ9",
    ],
)
def test_a_code_is_understood_however_it_is_typed(typed: str) -> None:
    assert understood(typed) == _CODE


@pytest.mark.parametrize("typed", ["", "0123-ABCD-XYZ", _CODE + "0", "0123ABCDXYZU", "密码" * 6])
def test_what_can_be_no_code_is_told_apart(typed: str) -> None:
    assert understood(typed) is None


@given(st.text(alphabet=ALPHABET, min_size=LENGTH, max_size=LENGTH))
def test_a_code_as_shown_is_understood(code: str) -> None:
    assert understood(shown(code)) == code


@given(st.text(max_size=200))
def test_no_text_at_all_breaks_the_reading(text: str) -> None:
    code = understood(text)
    assert code is None or (len(code) == LENGTH and set(code) <= set(ALPHABET))


def test_a_code_has_sixty_bits_and_no_letter_that_looks_like_another() -> None:
    assert len(set(ALPHABET)) ** LENGTH == 2**60
    assert not set("ILOU") & set(ALPHABET)


def work_of(kept: Stored | None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, object]]:
    """Return the digests that a comparison computes: the length of each salt, and its cost."""
    computed: list[tuple[int, object]] = []
    scrypt = hashlib.scrypt

    def noted(password: bytes, *, salt: bytes, **cost: int) -> bytes:
        computed.append((len(salt), cost))
        return scrypt(password, salt=salt, **cost)

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "scrypt", noted)
        assert not matches(kept, _CODE)
    return computed


def test_a_case_without_a_code_takes_the_same_work_as_a_wrong_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = work_of(Stored(b"s" * 16, b"d" * 64), monkeypatch)
    assert len(wrong) == 1
    assert work_of(None, monkeypatch) == wrong


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_ipv6_host_cannot_change_its_address_to_try_on(address: str, counted: str) -> None:
    assert network_of(address) == counted
