"""The digest by which a repeat petition 重复信访 is found without knowing who it is."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sealing.petitioner import identity_digest

KEY = bytes(range(32))
ID = "37010219900307123X"


@pytest.mark.parametrize(
    "written",
    [
        " 37010219900307123X ",
        "37010219900307123x",
        "３７０１０２１９９００３０７１２３Ｘ",
        "　" + ID + "\n",
    ],
)
def test_one_number_however_it_is_written_gives_one_digest(written: str) -> None:
    assert identity_digest(KEY, "resident", written) == identity_digest(KEY, "resident", ID)


def test_the_digest_is_hmac_sha256_over_the_framed_identity() -> None:
    parts = [b"petition identity v1", b"RESIDENT", ID.encode()]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    expected = hmac.new(KEY, message, hashlib.sha256).hexdigest()
    assert identity_digest(KEY, "resident", ID) == expected


def test_key_type_and_number_all_count() -> None:
    digests = {
        identity_digest(KEY, "resident", ID),
        identity_digest(bytes(32), "resident", ID),
        identity_digest(KEY, "passport", ID),
        identity_digest(KEY, "resident", ID[:-1] + "1"),
        identity_digest(KEY, "", "resident" + ID),
    }
    assert len(digests) == 5


def test_an_old_15_digit_number_is_not_taken_for_an_18_digit_one() -> None:
    assert identity_digest(KEY, "resident", "370102900307123") != identity_digest(
        KEY, "resident", "370102199003071233"
    )


@pytest.mark.parametrize("blank", ["", "  ", "\u3000"])
def test_without_a_number_there_is_no_digest(blank: str) -> None:
    assert identity_digest(KEY, "resident", blank) is None


@given(id_type=st.text(), id_number=st.text())
def test_any_text_gives_none_or_a_digest_that_surrounding_space_does_not_change(
    id_type: str, id_number: str
) -> None:
    digest = identity_digest(KEY, id_type, id_number)
    assert digest is None or len(digest) == 64
    assert identity_digest(KEY, f" {id_type}", f"{id_number}\t") == digest


def test_half_a_surrogate_pair_does_not_crash_it() -> None:
    assert identity_digest(KEY, "resident", "\ud83d") is not None
