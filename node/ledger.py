"""The ledger 事件账: writing events as a set, reading the events of cases.

Both sides write here: producers their own events, consumers what arrived.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from node import copying
from node.postgres import Cursor
from schemas.event import Event


class Source(NamedTuple):
    """Where and when an event came over the interconnect; instants in micros."""

    topic: str
    partition: int
    offset: int
    exchanged_at: int


class Entry(NamedTuple):
    """An event to be written, its body as JSON text, and its source unless it is the node's own."""

    event: Event
    body: bytes
    source: Source | None = None


COLUMNS = (
    "event_id, case_id, event_type, version, emitter, emitter_sequence, occurred_at, recorded_at, "
    "exchanged_at, actor, rule_set, body, value, traceparent, extra_headers, "
    "source_topic, source_partition, source_offset"
)
_COLUMN_COUNT = COLUMNS.count(",") + 1

_CREATE_INCOMING = copying.temporary("incoming_event", "case_event", COLUMNS)
# As they came, or as they were made: a table does not keep the order in which rows are copied.
_INSERT_NEW = (
    f"insert into case_event ({COLUMNS}) select {COLUMNS} from incoming_event "
    "order by source_topic, source_partition, source_offset, case_id, version "
    "on conflict (event_id) do nothing returning event_id::text"
)
_SELECT_EVENTS = (
    "select event_type, event_id::text, case_id, version, emitter, emitter_sequence, "
    "(extract(epoch from occurred_at) * 1000000)::bigint, "
    "(extract(epoch from recorded_at) * 1000000)::bigint, "
    "actor, rule_set, body from case_event where case_id = any(%s)"
)


def write(cursor: Cursor, entries: Sequence[Entry]) -> list[Event]:
    """Add events to the set; those that were new, each once, in the given order.

    One COPY and one INSERT whatever the number. Raises what the driver raises.
    """
    cursor.execute(_CREATE_INCOMING)
    copying.copy(cursor, "incoming_event", COLUMNS, map(_row, entries))
    cursor.execute(_INSERT_NEW)
    new = {event_id for (event_id,) in cursor.fetchall()}
    fresh = []
    for event, _, _ in entries:
        if event.event_id in new:
            new.remove(event.event_id)
            fresh.append(event)
    return fresh


def read(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, list[Event]]:
    """All events of the named cases for folding: without wire bytes, in no order."""
    cursor.execute(_SELECT_EVENTS, ([*case_ids],))
    events: dict[str, list[Event]] = {}
    for row in cursor:
        event = Event._make((*row, b"", "", None))
        events.setdefault(event.case_id, []).append(event)
    return events


def body_json(body: dict[str, Any]) -> bytes:
    """A body as JSON text; bytes become base64."""
    return orjson.dumps(body, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a body cannot hold {type(value).__name__}")


_SEALED_BYTES = frozenset({"nonce", "ciphertext", "ephemeral_key", "wrapped_key"})


def bytes_of(sealed: dict[str, Any]) -> dict[str, Any]:
    """A sealed petitioner or wrapped key as `body_json` wrote it, its bytes restored."""
    restored: dict[str, Any] = {
        name: base64.b64decode(value) if name in _SEALED_BYTES else value
        for name, value in sealed.items()
    }
    if "keys" in restored:
        restored["keys"] = [bytes_of(key) for key in restored["keys"]]
    return restored


def headers_json(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Headers as JSON text: [[name, base64], …]."""
    return orjson.dumps([[name, _plain(value)] for name, value in headers])


def stored_headers(stored: Iterable[Sequence[str]]) -> tuple[tuple[str, bytes], ...]:
    """The headers that `headers_json` wrote."""
    return tuple((name, base64.b64decode(value)) for name, value in stored)


def _row(entry: Entry) -> bytes:
    event, body, source = entry
    cells = (
        copying.uuid(event.event_id),
        copying.text(event.case_id),
        copying.word(event.type),
        copying.int8(event.version),
        copying.word(event.emitter),
        copying.int8(event.emitter_sequence),
        copying.instant(event.occurred_at),
        copying.instant(event.recorded_at),
        copying.instant(source and source.exchanged_at),
        copying.text(event.actor),
        copying.text(event.rule_set),
        copying.jsonb(body),
        copying.raw(event.value),
        copying.text(event.traceparent),
        copying.NULL if event.extra_headers is None else _extra(event),
        *_source_cells(source),
    )
    return copying.row(cells, _COLUMN_COUNT)


def _extra(event: Event) -> bytes:
    return copying.jsonb(headers_json(event.extra_headers or ()))


def _source_cells(source: Source | None) -> tuple[bytes, bytes, bytes]:
    if source is None:
        return copying.NULL, copying.NULL, copying.NULL
    return copying.word(source.topic), copying.int4(source.partition), copying.int8(source.offset)
