"""Events to send through the codec and the headers, all invented."""

from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from schemas.catalogue import Schema
from schemas.event import Event
from schemas.wire import make_event

REGISTERED = "petition.case.registered.v1"
ENVELOPE: dict[str, Any] = {
    "event_id": "0195533c-0000-7000-8000-000000000001",
    "case_id": "370000-2026-00000001",
    "version": 1,
    "emitter": "370000",
    "emitter_sequence": 1,
    "occurred_at": 1_772_416_800_000_000,
    "recorded_at": 1_772_416_801_234_567,
    "actor": "370000-office-01",
    "rule_set": "XF2022",
}
BODY: dict[str, Any] = {
    "channel": "web",
    "received_at": 1_772_416_800_000_000,
    "title": "小区绿化带被占用",
}


def registered(body: dict[str, Any] | None = None, **envelope: Any) -> Event:
    """Return a case.registered event, with these fields of its body and envelope changed."""
    return make_event(REGISTERED, **{**ENVELOPE, **envelope}, body={**BODY, **(body or {})})


def record_of(event: Event) -> dict[str, Any]:
    """Return the whole Avro record of an event: envelope and body."""
    return {**{name: getattr(event, name) for name in ENVELOPE}, **event.body}


def unchecked(schema: Schema, record: dict[str, Any]) -> bytes:
    """Return the wire value of a record as fastavro alone writes it, whatever its values are."""
    stream = BytesIO()
    stream.write(schema.frame)
    schemaless_writer(stream, schema.physical, record)
    return stream.getvalue()
