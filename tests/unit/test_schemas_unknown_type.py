"""A newer node's new type of event is kept and passed on, neither lost nor fatal."""

from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from support.events import ENVELOPE, REGISTERED, registered

from schemas import errors
from schemas.envelope import decode_envelope
from schemas.errors import Undecodable
from schemas.wire import Headers, read_event, wire_headers

NEWER = "petition.case.mediated.v1"
NEWER_BODY = [
    {"name": "mediator", "type": "string"},
    {"name": "scores", "type": {"type": "map", "values": "double"}},
]


def newer_value(**envelope: Any) -> bytes:
    """Return what a newer release sends under an id that this one does not have."""
    types = {str: "string", int: "long"}
    fields = [{"name": name, "type": types[type(ENVELOPE[name])]} for name in ENVELOPE]
    schema = parse_schema({"type": "record", "name": "CaseMediated", "fields": fields + NEWER_BODY})
    stream = BytesIO()
    stream.write(b"\0\0\0\x01\x23")
    record = {**ENVELOPE, "mediator": "调解委员会", "scores": {"a": 1.5}, **envelope}
    schemaless_writer(stream, schema, record)
    return stream.getvalue()


def newer_headers(type_: str = NEWER) -> list[tuple[str, bytes]]:
    changed = {"ce_type": type_.encode(), "schema-fingerprint": b"f" * 16}
    return [(name, changed.get(name, content)) for name, content in wire_headers(registered())]


KEY = ENVELOPE["case_id"].encode()


def reason_of(value: bytes, headers: Headers, key: bytes = KEY) -> str:
    with pytest.raises(Undecodable) as refused:
        read_event(key, value, headers)
    return refused.value.reason


def test_an_unknown_type_is_read_by_its_envelope_and_forwarded_byte_for_byte() -> None:
    value, headers = newer_value(), newer_headers()
    event = read_event(KEY, value, headers)
    assert {name: getattr(event, name) for name in ENVELOPE} == ENVELOPE
    assert (event.type, event.body, event.schema_id) == (NEWER, {}, 0x123)
    assert (event.key, event.value, wire_headers(event)) == (KEY, value, headers)


def test_a_newer_version_of_a_known_type_is_an_unknown_type() -> None:
    newer = REGISTERED.replace(".v1", ".v2")
    assert read_event(KEY, newer_value(), newer_headers(newer)).type == newer


def test_a_known_type_under_an_unknown_id_is_poison() -> None:
    assert reason_of(newer_value(), newer_headers(REGISTERED)) == errors.UNKNOWN_SCHEMA


@pytest.mark.parametrize(
    "type_",
    ["", "petition", "order.paid.v1", "petition.case.mediated", f"petition.{'x' * 99}.y.v1"],
)
def test_what_is_no_type_of_ours_is_poison(type_: str) -> None:
    assert reason_of(newer_value(), newer_headers(type_)) == errors.UNKNOWN_SCHEMA


def test_no_headers_at_all_are_poison() -> None:
    assert reason_of(newer_value(), []) == errors.UNKNOWN_SCHEMA


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (newer_value()[:40], errors.MALFORMED),
        (newer_value()[:5] + b"\xff" * 200, errors.MALFORMED),
        (newer_value(event_id="x"), errors.MALFORMED),
        (newer_value(version=0), errors.OUT_OF_RANGE),
        (newer_value(actor="\0"), errors.INVALID_TEXT),
        (newer_value(emitter="110000"), errors.WRONG_HEADERS),
    ],
)
def test_an_unknown_type_with_a_bad_envelope_is_poison(value: bytes, reason: str) -> None:
    assert reason_of(value, newer_headers()) == reason


def test_an_unknown_type_under_the_key_of_another_case_is_poison() -> None:
    assert reason_of(newer_value(), newer_headers(), key=b"other") == errors.WRONG_HEADERS


def test_the_envelope_of_a_known_type_can_be_read_alone() -> None:
    assert decode_envelope(registered().value) == ENVELOPE
