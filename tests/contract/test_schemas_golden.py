"""The bytes on the wire stay what they were, and others than us can read them."""

import io
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import avro.io
import avro.schema
import pytest
from support import golden

from schemas.catalogue import EVENTS_FOLDER, catalogue
from schemas.codec import decode, encode
from schemas.wire import make_event, read_event, wire_headers

NAMES = golden.names()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECEIVED = ("value", "extra_headers")  # what an event has on its way in and is not given


def test_every_type_has_a_golden_example() -> None:
    assert set(catalogue().by_type) <= set(NAMES)
    assert {f"petition.case.registered.v1.{kind}" for kind in ("full", "minimal")} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_example_decodes_and_encodes_byte_for_byte(name: str) -> None:
    example = golden.load(name, EVENTS_FOLDER)
    schema, record = decode(example.value)
    assert (schema.id, schema.fingerprint) == (example.schema["id"], example.schema["fingerprint"])
    assert record == example.record
    assert encode(schema, example.record) == example.value


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_example_is_received_and_forwarded_byte_for_byte(name: str) -> None:
    example = golden.load(name, EVENTS_FOLDER)
    event = read_event(example.key, example.value, example.headers)
    assert event.extra_headers is None
    assert (event.key, event.value) == (example.key, example.value)
    assert wire_headers(event) == example.headers


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_example_can_be_made_again_from_its_fields(name: str) -> None:
    example = golden.load(name, EVENTS_FOLDER)
    event = read_event(example.key, example.value, example.headers)
    given = event._asdict()
    made = make_event(given.pop("type"), **{n: given[n] for n in given if n not in RECEIVED})
    assert made == event


@pytest.mark.parametrize("name", NAMES)
def test_a_third_party_avro_library_reads_a_golden_example(name: str) -> None:
    example = golden.load(name, EVENTS_FOLDER)
    stream = io.BytesIO(example.value[5:])
    schema = avro.schema.parse(json.dumps(example.avro))
    record = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(stream))
    assert stream.read() == b""
    assert _plain(record) == example.record


@pytest.mark.parametrize("name", NAMES)
def test_what_a_third_party_avro_library_writes_is_our_wire_value(name: str) -> None:
    example = golden.load(name, EVENTS_FOLDER)
    schema = avro.schema.parse(json.dumps(example.avro))
    record = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(io.BytesIO(example.value[5:])))
    stream = io.BytesIO()
    avro.io.DatumWriter(schema).write(record, avro.io.BinaryEncoder(stream))
    assert stream.getvalue() == example.value[5:]


def _plain(value: Any) -> Any:
    """Turn logical types of a value back into what our codec gives."""
    if isinstance(value, datetime):
        return (value - EPOCH) // (EPOCH.resolution)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
