"""Write and check the headers of CloudEvents in Kafka's binary mode 事件头."""

import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from schemas.catalogue import Schema, catalogue
from schemas.errors import WRONG_FINGERPRINT, WRONG_HEADERS, Undecodable
from schemas.event import Event
from schemas.packed_headers import PackedHeaders, packed_text, varint

Headers = Sequence[tuple[str, bytes]]

SPECIFICATION_VERSION: Final = b"1.0"  # of CloudEvents
CONTENT_TYPE: Final = b"application/avro"
FINGERPRINT: Final = "schema-fingerprint"


def _short(text: str) -> str:
    """Return a text of less than 64 bytes after its length, as Kafka packs it."""
    return chr(2 * len(text)) + text


_TRACEPARENT_PLACE: Final = 7  # in the standard order
# The constant bytes between the variable parts of packed standard headers, if each of these parts
# has its usual length of less than 64 bytes, which takes one byte.
_BETWEEN: Final = tuple(
    "".join(parts)
    for parts in (
        ("\x12", _short("ce_specversion"), _short("1.0"), _short("ce_id"), chr(36 * 2)),
        (_short("ce_type"),),
        (_short("ce_source"),),
        (_short("ce_time"), chr(27 * 2)),
        (_short("ce_subject"),),
        (_short("content-type"), _short("application/avro"), _short("traceparent"), chr(55 * 2)),
        (_short("schema-fingerprint"), chr(16 * 2)),
    )
)
# The 55 characters of a trace come before the fingerprint's name and its 16 hexadecimal digits.
_AFTER_TRACE: Final = len(packed_text(FINGERPRINT.encode())) + 1 + 16
_PLACE_OF_TRACE: Final = slice(-_AFTER_TRACE - 55, -_AFTER_TRACE)
_TRACE_NAMED: Final = packed_text(b"traceparent") + varint(55)
_NAME_OF_TRACE: Final = slice(_PLACE_OF_TRACE.start - len(_TRACE_NAMED), _PLACE_OF_TRACE.start)
_EPOCH: Final = datetime(1970, 1, 1)
_traceparent: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def new_traceparent() -> str:
    """Return a W3C trace context for a new trace: version, trace id, span id, sampled."""
    random = os.urandom(24).hex()
    return f"00-{random[:32]}-{random[32:]}-01"


def instant_text(micros: int) -> str:
    """Return RFC 3339 in UTC, always with microseconds: 2026-01-31T08:00:00.000000Z."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_second_text(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=4096)  # events come in bursts, and formatting costs 2 µs
def _second_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def standard_headers(event: Event, fingerprint: str) -> list[tuple[str, bytes]]:
    """Return the headers of docs/contract.md §2, in their fixed order."""
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


def is_standard(event: Event, fingerprint: str, headers: Headers) -> bool:
    """Return whether these are exactly the standard headers of `event`, without unpacking."""
    if not isinstance(headers, PackedHeaders):
        return list(headers) == standard_headers(event, fingerprint)
    return headers.packed == _packed(event, fingerprint) or (
        list(headers) == standard_headers(event, fingerprint)
    )


def _packed(event: Event, fingerprint: str) -> bytes:
    """Return the packed standard headers; for unusual lengths the result is wrong."""
    begin, type_, source, time, subject, trace, schema = _BETWEEN
    return (
        f"{begin}{event.event_id}{type_}{chr(2 * len(event.type))}{event.type}"
        f"{source}{chr(2 * len(event.source))}{event.source}{time}{instant_text(event.recorded_at)}"
        f"{subject}{chr(2 * len(event.case_id))}{event.case_id}{trace}{event.traceparent}"
        f"{schema}{fingerprint}"
    ).encode()


def wire_headers(event: Event) -> list[tuple[str, bytes]]:
    """Return the headers to publish: the received or the standard ones."""
    if event.extra_headers is not None:
        return list(event.extra_headers)
    return standard_headers(event, catalogue().by_type[event.type].fingerprint)


def traceparent_in(headers: Headers) -> str:
    """Return the valid traceparent, or "": by W3C a receiver ignores a damaged one."""
    if isinstance(headers, PackedHeaders):
        packed = headers.packed
        if packed[_NAME_OF_TRACE] == _TRACE_NAMED and is_traceparent(packed[_PLACE_OF_TRACE]):
            return packed[_PLACE_OF_TRACE].decode()
    if len(headers) > _TRACEPARENT_PLACE and headers[_TRACEPARENT_PLACE][0] == "traceparent":
        trace: bytes | None = headers[_TRACEPARENT_PLACE][1]
    else:
        trace = dict(headers).get("traceparent")
    return trace.decode() if trace and is_traceparent(trace) else ""


def is_traceparent(content: bytes) -> bool:
    """Return whether it is a W3C trace context of version 00 with ids that are not all zero."""
    return _traceparent.fullmatch(content) is not None


def check_agreement(
    key: bytes | None, event: Event, headers: Headers, schema: Schema | None
) -> None:
    """Raise Undecodable unless key and headers agree with the record."""
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
    """Return the headers that must be there and agree; others may be missing or differ."""
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
        raise Undecodable(WRONG_HEADERS, "a header is repeated")
    for name, content in headers:
        if content is None or "\0" in name:
            raise Undecodable(WRONG_HEADERS, f"header {name!r} cannot be kept")
    return given
