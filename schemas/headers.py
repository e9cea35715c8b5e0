"""CloudEvents in Kafka's binary mode 事件头: the headers that go out, and the way in for a record.

`read_event` is the only way in: it decodes, and it refuses a record whose key or headers say
something else than the record itself. Whatever came is forwarded byte for byte.
"""

import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from schemas.catalogue import Schema, catalogue
from schemas.codec import decode_as, encode, schema_of, unknown_schema
from schemas.envelope import check_envelope, decode_envelope
from schemas.errors import EMPTY, WRONG_FINGERPRINT, WRONG_HEADERS, Invalid, Undecodable
from schemas.event import ENVELOPE_FIELDS, Event

Headers = Sequence[tuple[str, bytes]]

SPECIFICATION_VERSION: Final = b"1.0"  # of CloudEvents
CONTENT_TYPE: Final = b"application/avro"
FINGERPRINT: Final = "schema-fingerprint"

_TRACEPARENT_PLACE: Final = 7  # in the standard order
_EPOCH: Final = datetime(1970, 1, 1)
_traceparent: Final = re.compile(
    rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
).fullmatch
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
    """A new event, encoded; body fields that are left out take the default of their schema.

    `traceparent` continues a trace; without one a new trace begins. Raises Invalid, naming the
    field, for whatever cannot be written.
    """
    schema = catalogue().by_type.get(type_)
    if schema is None:
        raise Invalid(f"{type_}: this release has no such type of event")
    body = {**schema.defaults(), **body}
    envelope = (
        event_id,
        case_id,
        version,
        emitter,
        emitter_sequence,
        occurred_at,
        recorded_at,
        actor,
        rule_set,
    )
    value = encode(schema, {**dict(zip(ENVELOPE_FIELDS, envelope, strict=True)), **body})
    return Event(type_, *envelope, body, value, traceparent or new_traceparent())


def new_traceparent() -> str:
    """A W3C trace context that begins a trace: version, trace id, span id, sampled."""
    random = os.urandom(24).hex()
    return f"00-{random[:32]}-{random[32:]}-01"


def instant_text(micros: int) -> str:
    """RFC 3339 in UTC, always with microseconds: 2026-01-31T08:00:00.000000Z."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_second_text(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=4096)  # events come in bursts, and formatting costs 2 µs
def _second_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def standard_headers(event: Event, fingerprint: str) -> list[tuple[str, bytes]]:
    """The headers of CONTRACT section 2, in their fixed order."""
    return [
        ("ce_specversion", SPECIFICATION_VERSION),
        ("ce_id", event.event_id.encode()),
        ("ce_type", event.type.encode()),
        ("ce_source", event.source.encode()),
        ("ce_time", instant_text(event.recorded_at).encode()),
        ("ce_subject", event.case_id.encode()),
        ("content-type", CONTENT_TYPE),
        ("traceparent", event.traceparent.encode()),
        (FINGERPRINT, fingerprint.encode()),
    ]


def wire_headers(event: Event) -> list[tuple[str, bytes]]:
    """The headers to publish: as they came, or the standard ones."""
    if event.extra_headers is not None:
        return list(event.extra_headers)
    return standard_headers(event, catalogue().by_type[event.type].fingerprint)


def read_event(key: bytes | None, value: bytes | None, headers: Headers) -> Event:
    """The event in a Kafka record.

    A type that this release does not know comes back with an empty body and its value whole: it
    is kept and passed on. Raises Undecodable for everything that is no event. NUL in the texts of
    the body is not looked for, see `schemas.codec.decode`.
    """
    if value is None:
        raise Undecodable(EMPTY, "the record has no value")
    schema = schema_of(value)
    if schema is None:
        return _unknown_type(key, value, headers)
    record = decode_as(schema, value)
    check_envelope(record)
    event = _event(schema.type, record, value, headers)
    if key == event.key and list(headers) == standard_headers(event, schema.fingerprint):
        return event
    _check_agreement(key, event, headers, schema)
    return event._replace(extra_headers=tuple(headers))


def _event(type_: str, record: dict[str, Any], value: bytes, headers: Headers) -> Event:
    envelope = map(record.pop, ENVELOPE_FIELDS)
    return Event._make((type_, *envelope, record, value, _traceparent_in(headers), None))


def _traceparent_in(headers: Headers) -> str:
    """The valid traceparent, or "": W3C has a receiver ignore a damaged one."""
    if len(headers) > _TRACEPARENT_PLACE and headers[_TRACEPARENT_PLACE][0] == "traceparent":
        found: bytes | None = headers[_TRACEPARENT_PLACE][1]
    else:
        found = dict(headers).get("traceparent")
    return found.decode() if found and _traceparent(found) else ""


def _unknown_type(key: bytes | None, value: bytes, headers: Headers) -> Event:
    type_ = (dict(headers).get("ce_type") or b"").decode("ascii", "replace")
    if type_ in catalogue().by_type or not _event_type(type_):
        raise unknown_schema(value)
    event = _event(type_, decode_envelope(value), value, headers)
    _check_agreement(key, event, headers, None)
    return event._replace(extra_headers=tuple(headers))


def _check_agreement(
    key: bytes | None, event: Event, headers: Headers, schema: Schema | None
) -> None:
    """Raises Undecodable unless key and headers tell the same as the record."""
    if key != event.key:
        raise Undecodable(WRONG_HEADERS, "the key is not the case id of the record")
    given = _unambiguous(headers)
    for name, expected in _expected(event):
        if given.get(name) != expected:
            fault = "differs from the record" if name in given else "is missing"
            raise Undecodable(WRONG_HEADERS, f"header {name} {fault}")
    fingerprint = given.get(FINGERPRINT)
    if schema and fingerprint != schema.fingerprint.encode():
        fault = "names another schema than its id" if fingerprint else "is missing"
        raise Undecodable(WRONG_FINGERPRINT, f"header {FINGERPRINT} {fault}")


def _expected(event: Event) -> list[tuple[str, bytes]]:
    """The headers that must be there and agree; the others may be missing or differ."""
    return [
        ("ce_specversion", SPECIFICATION_VERSION),
        ("ce_id", event.event_id.encode()),
        ("ce_type", event.type.encode()),
        ("ce_source", event.source.encode()),
        ("ce_subject", event.key),
        ("content-type", CONTENT_TYPE),
    ]


def _unambiguous(headers: Headers) -> dict[str, bytes]:
    given = dict(headers)
    if len(given) != len(headers):
        raise Undecodable(WRONG_HEADERS, "a header stands there twice")
    for name, content in headers:
        if content is None or "\0" in name:
            raise Undecodable(WRONG_HEADERS, f"header {name!r} cannot be kept")
    return given
