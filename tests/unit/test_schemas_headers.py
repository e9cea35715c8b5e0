"""The way in and out of an event: key, headers, what agrees and what is kept."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from support.events import ENVELOPE, REGISTERED, registered, unchecked

from schemas import errors
from schemas.catalogue import catalogue
from schemas.cloudevents import instant_text
from schemas.errors import Undecodable
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS
from schemas.wire import Headers, new_traceparent, read_event, wire_headers

EVENT = registered()
STANDARD = wire_headers(EVENT)
PLACES = {name: place for place, (name, _) in enumerate(STANDARD)}


def reason_of(key: bytes | None, value: bytes | None, headers: Headers) -> str:
    with pytest.raises(Undecodable) as refused:
        read_event(key, value, headers)
    return refused.value.reason


def with_header(name: str, content: bytes) -> list[tuple[str, bytes]]:
    """Return the standard headers with this one replaced, or added at the end."""
    headers = [(other, content if other == name else its) for other, its in STANDARD]
    return headers if name in PLACES else [*headers, (name, content)]


def without(name: str) -> list[tuple[str, bytes]]:
    return [header for header in STANDARD if header[0] != name]


def test_the_standard_headers_and_their_order() -> None:
    expected = {
        "ce_specversion": "1.0",
        "ce_id": ENVELOPE["event_id"],
        "ce_type": REGISTERED,
        "ce_source": "/nodes/370000",
        "ce_time": "2026-03-02T02:00:01.234567Z",
        "ce_subject": ENVELOPE["case_id"],
        "content-type": "application/avro",
        "traceparent": EVENT.traceparent,
        "schema-fingerprint": catalogue().by_type[REGISTERED].fingerprint,
    }
    assert [(name, content.encode()) for name, content in expected.items()] == STANDARD


def test_a_standard_event_comes_back_as_it_was_sent() -> None:
    assert read_event(EVENT.key, EVENT.value, STANDARD) == EVENT
    assert read_event(EVENT.key, EVENT.value, tuple(STANDARD)) == EVENT


@pytest.mark.parametrize(
    "headers",
    [
        [*STANDARD, ("x-province", b"\xff\x00")],
        STANDARD[::-1],
        without("traceparent"),
        without("ce_time"),
        with_header("ce_time", b"2026-03-02T10:00:01.234567+08:00"),
        with_header("traceparent", b"not a trace"),
    ],
    ids=["an extra one", "reversed", "no trace", "no time", "other zone", "damaged trace"],
)
def test_headers_that_are_not_standard_are_kept_and_forwarded_whole(headers: Headers) -> None:
    event = read_event(EVENT.key, EVENT.value, headers)
    assert event.extra_headers == tuple(headers)
    assert wire_headers(event) == headers
    assert event._replace(extra_headers=None, traceparent="") == EVENT._replace(traceparent="")


def test_a_trace_goes_on_where_it_is_valid() -> None:
    trace = new_traceparent()
    assert registered(traceparent=trace).traceparent == trace
    reversed_event = read_event(EVENT.key, EVENT.value, STANDARD[::-1])
    assert reversed_event.traceparent == EVENT.traceparent


@pytest.mark.parametrize("trace", ["", "x", f"00-{'0' * 32}-{'1' * 16}-01"])
def test_a_damaged_trace_is_ignored_and_a_new_one_begins(trace: str) -> None:
    made = registered(traceparent=trace).traceparent
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
    damaged = read_event(EVENT.key, EVENT.value, with_header("traceparent", trace.encode()))
    assert damaged.traceparent == ""


@pytest.mark.parametrize("key", [None, b"", b"370000-2026-00000002"])
def test_a_key_that_is_not_the_case_is_refused(key: bytes | None) -> None:
    assert reason_of(key, EVENT.value, STANDARD) == errors.WRONG_HEADERS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ce_specversion", b"0.3"),
        ("ce_id", b"0195533c-0000-7000-8000-000000000002"),
        ("ce_type", b"petition.case.closed.v1"),
        ("ce_type", b"petition.case.dreamt.v1"),
        ("ce_source", b"/nodes/110000"),
        ("ce_subject", b"370000-2026-00000002"),
        ("content-type", b"application/json"),
        ("ce_id", b"\xff"),
    ],
)
def test_a_header_that_differs_from_the_record_is_refused(name: str, content: bytes) -> None:
    assert reason_of(EVENT.key, EVENT.value, with_header(name, content)) == errors.WRONG_HEADERS
    assert reason_of(EVENT.key, EVENT.value, without(name)) == errors.WRONG_HEADERS


@pytest.mark.parametrize(
    "headers",
    [
        [*STANDARD, ("ce_id", b"other")],
        [*STANDARD, ("x", b"1"), ("x", b"2")],
        [*STANDARD, ("a\0b", b"1")],
        [*STANDARD, ("x", None)],
        [],
    ],
)
def test_headers_that_cannot_be_kept_or_trusted_are_refused(headers: Headers) -> None:
    assert reason_of(EVENT.key, EVENT.value, headers) == errors.WRONG_HEADERS


def test_a_fingerprint_of_another_schema_is_refused() -> None:
    """Schema ids of registries have been used twice: the header says so."""
    for headers in (with_header("schema-fingerprint", b"0" * 16), without("schema-fingerprint")):
        assert reason_of(EVENT.key, EVENT.value, headers) == errors.WRONG_FINGERPRINT


@pytest.mark.parametrize("value", [None, b""])
def test_a_record_without_a_value_is_refused(value: bytes | None) -> None:
    assert reason_of(EVENT.key, value, STANDARD) == errors.EMPTY


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        ({"event_id": "0195533C-0000-7000-8000-000000000001"}, errors.MALFORMED),
        ({"event_id": ENVELOPE["event_id"] + "\n"}, errors.MALFORMED),
        ({"case_id": ""}, errors.MALFORMED),
        ({"case_id": "x" * 65}, errors.MALFORMED),
        ({"actor": "a\0b"}, errors.INVALID_TEXT),
        ({"version": 0}, errors.OUT_OF_RANGE),
        ({"version": 2**62}, errors.OUT_OF_RANGE),
        ({"emitter_sequence": 0}, errors.OUT_OF_RANGE),
        ({"occurred_at": MIN_INSTANT_MICROS - 1}, errors.OUT_OF_RANGE),
        ({"recorded_at": MAX_INSTANT_MICROS + 1}, errors.OUT_OF_RANGE),
    ],
)
def test_an_envelope_that_cannot_be_stored_is_refused(
    envelope: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.wire.encode", unchecked)
    event = registered(**envelope)
    assert reason_of(event.key, event.value, STANDARD) == reason


@pytest.mark.parametrize("micros", [MIN_INSTANT_MICROS, -1, 0, 1, MAX_INSTANT_MICROS])
def test_instants_are_written_as_rfc_3339_in_utc(micros: int) -> None:
    text = instant_text(micros)
    moment = datetime.fromisoformat(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // moment.resolution == micros
