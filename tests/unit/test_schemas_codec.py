"""The codec refuses bad values, each with its reason."""

import copy
import re
from typing import Any

import pytest
from support.events import ENVELOPE, REGISTERED, record_of, registered, unchecked

from schemas import errors
from schemas.catalogue import catalogue
from schemas.codec import decode, encode
from schemas.errors import REASONS, Invalid, Undecodable
from schemas.limits import (
    MAX_INSTANT_MICROS,
    MAX_NUMBER,
    MAX_VALUE_BYTES,
    MIN_INSTANT_MICROS,
)
from schemas.wire import make_event

SCHEMA = catalogue().by_type[REGISTERED]
GOOD = registered().value
TEXT = GOOD.index("小区".encode())


def reason_of(value: bytes) -> str:
    with pytest.raises(Undecodable) as refused:
        decode(value)
    assert refused.value.reason in REASONS
    return refused.value.reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", errors.EMPTY),
        (b"\0\0\0\0", errors.TOO_SHORT),
        (b"\0\0\0\0\1", errors.TOO_SHORT),
        (b"\1" + GOOD[1:], errors.WRONG_MAGIC),
        (b'{"event_id": "0195533c"}', errors.WRONG_MAGIC),
        (b"\0\0\0\0\x63" + GOOD[5:], errors.UNKNOWN_SCHEMA),
        (b"\0" * (MAX_VALUE_BYTES + 1), errors.TOO_LARGE),
        (GOOD[:-1], errors.MALFORMED),
        (GOOD[:40], errors.MALFORMED),
        (GOOD + b"\0", errors.TRAILING_BYTES),
        (GOOD + GOOD, errors.TRAILING_BYTES),
        (GOOD[:TEXT] + b"\xed\xa0\x80" + GOOD[TEXT + 3 :], errors.INVALID_TEXT),
        (GOOD[:TEXT] + b"\xff" + GOOD[TEXT + 1 :], errors.INVALID_TEXT),
    ],
)
def test_poison_has_a_reason(value: bytes, reason: str) -> None:
    assert reason_of(value) == reason


def test_an_error_names_reason_and_detail_but_no_content() -> None:
    with pytest.raises(Undecodable, match=r"^trailing_bytes: 6 bytes follow the record$"):
        decode(GOOD + "秘密".encode())


@pytest.mark.parametrize("instant", [MIN_INSTANT_MICROS, 0, MAX_INSTANT_MICROS])
def test_the_years_1_and_9999_travel(instant: int) -> None:
    event = registered({"received_at": instant}, occurred_at=instant)
    assert decode(event.value)[1]["received_at"] == instant


@pytest.mark.parametrize("instant", [MIN_INSTANT_MICROS - 1, MAX_INSTANT_MICROS + 1])
@pytest.mark.parametrize("name", ["occurred_at", "received_at", "clocks.0.due_at"])
def test_an_instant_out_of_range_is_refused_on_writing(name: str, instant: int) -> None:
    with pytest.raises(Invalid, match=rf"^{re.escape(name)}: the instant is outside the years"):
        encode(SCHEMA, with_value(name, instant))


@pytest.mark.parametrize("instant", [MIN_INSTANT_MICROS - 1, MAX_INSTANT_MICROS + 1, 2**63 - 1])
@pytest.mark.parametrize("name", ["received_at", "clocks.0.due_at"])
def test_an_instant_out_of_range_in_a_body_is_poison(name: str, instant: int) -> None:
    assert reason_of(unchecked(SCHEMA, with_value(name, instant))) == errors.OUT_OF_RANGE


TEXTS = ["title", "actor", "accused.0", "repeat_of", "clocks.0.calendar", "petitioner.suite"]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(("text", "fault"), [("a\0b", "NUL"), ("\ud800", "surrogate")])
def test_bad_text_is_refused_on_writing_by_the_name_of_its_field(
    name: str, text: str, fault: str
) -> None:
    with pytest.raises(Invalid, match=rf"^{re.escape(name)}: .*{fault}"):
        encode(SCHEMA, with_value(name, text))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", 5),
        ("title", None),
        ("title", "题" * 201),
        ("joint_signed", 1),
        ("persons", True),
        ("persons", 2.0),
        ("persons", "3"),
        ("persons", 0),
        ("persons", 2**40),
        ("version", 0),
        ("version", MAX_NUMBER + 1),
        ("emitter_sequence", -1),
        ("event_id", "0195533C-0000-7000-8000-000000000001"),
        ("event_id", "7"),
        ("case_id", ""),
        ("case_id", "x" * 65),
        ("emitter", ""),
        ("accused", "370100"),
        ("accused", ["x"] * 51),
        ("accused.0", 370100),
        ("petitioner.nonce", "text"),
        ("clocks.0", None),
        ("clocks.0", []),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_field(
    name: str, value: Any
) -> None:
    with pytest.raises(Invalid, match=rf"^{re.escape(name)}: "):
        encode(SCHEMA, with_value(name, value))


def test_a_missing_and_an_unknown_field_are_refused() -> None:
    record = record_of(registered())
    with pytest.raises(Invalid, match=r"^nickname: is no field"):
        encode(SCHEMA, {**record, "nickname": "x"})
    del record["area"]
    with pytest.raises(Invalid, match=r"^area: is missing$"):
        encode(SCHEMA, record)
    clock = {"clock": "D01", "started_at": 0, "provisional": False, "calendar": ""}
    with pytest.raises(Invalid, match=r"^clocks\.0\.due_at: is missing$"):
        registered({"clocks": [clock]})


def test_an_unknown_type_cannot_be_made() -> None:
    with pytest.raises(Invalid, match=r"petition\.case\.dreamt\.v1"):
        make_event("petition.case.dreamt.v1", **ENVELOPE, body={})


def test_a_ground_of_supervision_is_between_1_and_6() -> None:
    body = {"kind": "urged", "grounds": [1, 7], "to": "370000", "requirement": "办结"}
    with pytest.raises(Invalid, match=r"^grounds\.1: 7 is not between 1 and 6$"):
        make_event("petition.supervision.issued.v1", **ENVELOPE, body=body)


def test_the_size_limit_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.codec.MAX_VALUE_BYTES", len(GOOD))
    decode(registered().value)
    with pytest.raises(Invalid, match=rf"has {len(GOOD) + 1} bytes and may have {len(GOOD)}"):
        registered({"purpose": "x"})
    assert reason_of(GOOD + b"\0") == errors.TOO_LARGE


def test_the_longest_opinion_with_all_attachments_fits() -> None:
    attachment = {
        "reference": "卷" * 500,
        "sha256": "0" * 64,
        "media_type": "x" * 100,
        "size": MAX_NUMBER,
        "name": "名" * 200,
    }
    body = {"outcome": "upheld", "opinion": "𠀀" * 20_000, "attachments": [attachment] * 50}
    event = make_event("petition.review.decided.v1", **ENVELOPE, body=body)
    assert len(event.value) < MAX_VALUE_BYTES


FULL: dict[str, Any] = {
    "accused": ["370100"],
    "repeat_of": "370000-2025-00000001",
    "petitioner": {"suite": "s", "nonce": b"n", "ciphertext": b"c", "keys": []},
    "clocks": [
        {"clock": "D01", "started_at": 0, "due_at": 0, "provisional": False, "calendar": ""}
    ],
}


def with_value(path: str, value: Any) -> dict[str, Any]:
    """Return a whole record with one value, named as errors name it, replaced."""
    record = {**record_of(registered()), **copy.deepcopy(FULL)}
    *outer, last = (int(step) if step.isdigit() else step for step in path.split("."))
    holder: Any = record
    for step in outer:
        holder = holder[step]
    holder[last] = value
    return record
