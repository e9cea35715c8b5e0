"""The ledger 事件账: writing events as a set, reading the events of cases.

Both sides write here: producers their own events, consumers what arrived.
"""

from __future__ import annotations

import base64
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any, NamedTuple

import orjson
from psycopg2.errors import UniqueViolation

from node import copying, digests
from node.postgres import Cursor
from schemas.event import Event


class Source(NamedTuple):
    """Where and when an event came over the interconnect; micros, None for an own one come home."""

    topic: str
    partition: int
    offset: int
    exchanged_at: int | None


class Entry(NamedTuple):
    """An event to be written, its body as JSON text, and its source unless it is the node's own."""

    event: Event
    body: bytes
    source: Source | None = None


class Packed(NamedTuple):
    """An event with its row for COPY and its digest, both made once and outside a transaction."""

    event: Event
    row: bytes
    digest: int


# Those of fixed length first and beside each other: they are packed at once.
COLUMNS = (
    "event_id, version, emitter_sequence, occurred_at, recorded_at, digest, "
    "exchanged_at, source_topic, source_partition, source_offset, "
    "event_type, emitter, case_id, actor, rule_set, traceparent, body, value, extra_headers"
)
_COLUMN_COUNT = COLUMNS.count(",") + 1

# Straight into the ledger costs half of what the way over a temporary table costs.
_ATTEMPT = "savepoint straight;"
_DONE = "release savepoint straight"
_GIVE_UP = "rollback to savepoint straight"
# With its defaults: the numbers of the feed are given as rows are copied, in their order. Read
# back, rows of many sizes come in that of the pages that had room for them.
_CREATE_INCOMING = (
    "create temporary table if not exists incoming_event "
    "(like case_event including defaults) on commit delete rows"
)
_INSERT_NEW = (
    f"insert into case_event ({COLUMNS}, feed_id) select {COLUMNS}, feed_id from incoming_event "
    "on conflict (event_id) do nothing"
)
# A row that is new has the number that it was given here.
_SELECT_NEW = (
    "select event_id::text from incoming_event i join case_event e using (event_id) "
    "where e.feed_id = i.feed_id"
)
_SELECT_EVENTS = (
    "select event_type, event_id::text, case_id, version, emitter, emitter_sequence, "
    "(extract(epoch from occurred_at) * 1000000)::bigint, "
    "(extract(epoch from recorded_at) * 1000000)::bigint, "
    "actor, rule_set, body from case_event where case_id = any(%s)"
)


def write(cursor: Cursor, packed: Sequence[Packed]) -> list[Event]:
    """Add events to the set; those that were new, each once, in the given order.

    One COPY whatever the number; the long way if some were known already. Raises what the driver
    raises.
    """
    try:
        copying.copy(cursor, "case_event", COLUMNS, (one.row for one in packed), _ATTEMPT)
    except UniqueViolation:
        cursor.execute(_GIVE_UP)
        return _write_unknown(cursor, packed)
    cursor.execute(_DONE)
    return [one.event for one in packed]


def _write_unknown(cursor: Cursor, packed: Sequence[Packed]) -> list[Event]:
    cursor.execute(_CREATE_INCOMING)
    copying.copy(cursor, "incoming_event", COLUMNS, (one.row for one in packed))
    cursor.execute(_INSERT_NEW)
    cursor.execute(_SELECT_NEW)
    new = {event_id for (event_id,) in cursor}
    fresh = []
    for event, _, _ in packed:
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
        return b2a_base64(value, newline=False).decode()
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


def pack(entry: Entry) -> Packed:
    """What is written of an entry; costs as much as decoding it, so a consumer does it early."""
    event, body, source = entry
    event_id = bytes.fromhex(event.event_id.replace("-", ""))
    digest = digests.of_event(event_id, event.value)
    case_id, actor = event.case_id.encode(), event.actor.encode()
    rule_set, trace = event.rule_set.encode(), event.traceparent.encode()
    cells = (
        _FIXED(
            *(_COLUMN_COUNT, 16, event_id, 8, event.version, 8, event.emitter_sequence),
            *(8, event.occurred_at - copying.MICROS_TO_2000),
            *(8, event.recorded_at - copying.MICROS_TO_2000),
            *(8, digest),
        ),
        _NO_SOURCE if source is None else _source_cells(source),
        *(copying.word(event.type), copying.word(event.emitter)),
        *(_LENGTH(len(case_id)), case_id, _LENGTH(len(actor)), actor),
        *(_LENGTH(len(rule_set)), rule_set, _LENGTH(len(trace)), trace),
        *(_JSONB(len(body) + 1, 1), body, _LENGTH(len(event.value)), event.value),
        copying.NULL if event.extra_headers is None else _extra(event),
    )
    return Packed(event, b"".join(cells), digest)


# The number of columns and the cells of event_id to digest, lengths before them.
_FIXED = Struct(">hi16siqiqiqiqiq").pack
_PLACE = Struct(">iiiq").pack
_LENGTH = Struct(">i").pack
_JSONB = Struct(">ib").pack  # with the version of its binary form


def _extra(event: Event) -> bytes:
    return copying.jsonb(headers_json(event.extra_headers or ()))


_NO_SOURCE = copying.NULL * 4


def _source_cells(source: Source) -> bytes:
    place = copying.word(source.topic) + _PLACE(4, source.partition, 8, source.offset)
    return copying.instant(source.exchanged_at) + place
