"""Make and read events on the wire 收发入口: bytes, key and headers.

All events are read by `read_event`, which decodes a record and refuses it if its key or headers
disagree with it. Received events are forwarded byte for byte.
"""

import re
from typing import Any, Final

from schemas.catalogue import catalogue
from schemas.cloudevents import (
    Headers,
    check_agreement,
    is_standard,
    is_traceparent,
    new_traceparent,
    traceparent_in,
    wire_headers,
)
from schemas.codec import decode_as, encode, schema_of, unknown_schema
from schemas.envelope import decode_envelope
from schemas.errors import EMPTY, Invalid, Undecodable
from schemas.event import ENVELOPE_FIELDS, Event
from schemas.validation.record_check import check_envelope

__all__ = ["Headers", "make_event", "new_traceparent", "read_event", "wire_headers"]

_event_type: Final = re.compile(r"petition\.[a-z_]{1,40}\.[a-z_]{1,40}\.v[1-9][0-9]{0,3}").fullmatch


def make_event(
    type_: str,
    *,
    event_id: str,
    case_id: str,
    version: int,
    emitter: str,
    emitter_sequence: int,
    occurred_at: int,
    recorded_at: int,
    actor: str,
    rule_set: str,
    body: dict[str, Any],
    traceparent: str = "",
) -> Event:
    """Return a new event, encoded; missing body fields take the default of their schema.

    `traceparent` continues a trace; without a valid one a new trace begins. Raises Invalid, naming
    the field, for a value that cannot be written.
    """
    schema = catalogue().by_type.get(type_)
    if schema is None:
        raise Invalid(f"{type_}: this release has no such type of event")
    body = {**schema.defaults(), **body}
    envelope = (
        *(event_id, case_id, version, emitter, emitter_sequence),
        *(occurred_at, recorded_at, actor, rule_set),
    )
    value = encode(schema, {**dict(zip(ENVELOPE_FIELDS, envelope, strict=True)), **body})
    trace = traceparent if is_traceparent(traceparent.encode()) else new_traceparent()
    return Event(type_, *envelope, body, value, trace)


def read_event(key: bytes | None, value: bytes | None, headers: Headers) -> Event:
    """Return the event in a Kafka record; raise Undecodable if it is no event.

    An event of an unknown type has an empty body and its whole value, to be kept and passed on. NUL
    in the texts of the body is not detected, see `schemas.codec.decode_as`.
    """
    if value is None:
        raise Undecodable(EMPTY, "the record has no value")
    schema = schema_of(value)
    if schema is None:
        return _unknown_type(key, value, headers)
    record = decode_as(schema, value)
    check_envelope(record)
    event = _event(schema.type, record, value, headers)
    if key == event.key and is_standard(event, schema.fingerprint, headers):
        return event
    check_agreement(key, event, headers, schema)
    return event._replace(extra_headers=tuple(headers))


def _event(type_: str, record: dict[str, Any], value: bytes, headers: Headers) -> Event:
    envelope = map(record.pop, ENVELOPE_FIELDS)
    return Event._make((type_, *envelope, record, value, traceparent_in(headers), None))


def _unknown_type(key: bytes | None, value: bytes, headers: Headers) -> Event:
    type_ = (dict(headers).get("ce_type") or b"").decode("ascii", "replace")
    if type_ in catalogue().by_type or not _event_type(type_):
        raise unknown_schema(value)
    event = _event(type_, decode_envelope(value), value, headers)
    check_agreement(key, event, headers, None)
    return event._replace(extra_headers=tuple(headers))
