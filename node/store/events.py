"""The ledger 事件账: write events as a set, read the events of cases.

Producers write the node's own events, consumers those that arrived.
"""

import base64
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from psycopg2.errors import UniqueViolation

from node.postgres import copy_binary
from node.postgres.connection import Cursor
from node.postgres.table import BYTEA, INSTANT, INT4, INT8, JSONB, TEXT, UUID, WORD, Table
from node.store import digests
from schemas.event import Event


class RecordSource(NamedTuple):
    """The record that an event came from, and when it arrived (micros); None for an own event."""

    topic: str
    partition: int
    offset: int
    exchanged_at: int | None


class Entry(NamedTuple):
    """An event to be written, its body as JSON text, and the record that it came from, if any."""

    event: Event
    body: bytes
    source: RecordSource | None = None


class Packed(NamedTuple):
    """An event with its row for COPY and its digest, both made before the transaction."""

    event: Event
    row: bytes
    digest: int


# In the order of the fields of an `Event`, an `Entry` and a `RecordSource`.
EVENTS = Table(
    "case_event",
    {
        "event_type": WORD,
        "event_id": UUID,
        "case_id": TEXT,
        "version": INT8,
        "emitter": WORD,
        "emitter_sequence": INT8,
        "occurred_at": INSTANT,
        "recorded_at": INSTANT,
        "actor": TEXT,
        "rule_set": TEXT,
        "body": JSONB,
        "value": BYTEA,
        "traceparent": TEXT,
        "extra_headers": JSONB,
        "digest": INT8,
        "source_topic": WORD,
        "source_partition": INT4,
        "source_offset": INT8,
        "exchanged_at": INSTANT,
    },
)

# COPY into the ledger costs half as much as COPY over a temporary table.
_ATTEMPT = "savepoint straight;"
_DONE = "release savepoint straight"
_GIVE_UP = "rollback to savepoint straight"
# With the defaults of the ledger, feed numbers are assigned in the order in which rows are copied.
# SELECT would return heap order, which depends on the sizes of the rows.
_CREATE_INCOMING = (
    "create temporary table if not exists incoming_event "
    "(like case_event including defaults) on commit delete rows"
)
_INSERT_NEW = (
    f"insert into case_event ({EVENTS.columns}, feed_id) "
    f"select {EVENTS.columns}, feed_id from incoming_event "
    "on conflict (event_id) do nothing"
)
# A row that is new has the number that was assigned here.
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
    """Add events to the set; return those that were new, each once, in the given order.

    One COPY writes all, unless some were known already. Raises what the driver raises.
    """
    try:
        EVENTS.copy(cursor, (entry.row for entry in packed), _ATTEMPT)
    except UniqueViolation:
        cursor.execute(_GIVE_UP)
        return _write_unknown(cursor, packed)
    cursor.execute(_DONE)
    return [entry.event for entry in packed]


def _write_unknown(cursor: Cursor, packed: Sequence[Packed]) -> list[Event]:
    cursor.execute(_CREATE_INCOMING)
    copy_binary.copy(cursor, "incoming_event", EVENTS.columns, (entry.row for entry in packed))
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
    """Return all events of these cases for folding: without wire bytes, in no order."""
    cursor.execute(_SELECT_EVENTS, ([*case_ids],))
    events: dict[str, list[Event]] = {}
    for row in cursor:
        event = Event._make((*row, b"", "", None))
        events.setdefault(event.case_id, []).append(event)
    return events


def body_json(body: dict[str, Any]) -> bytes:
    """Return a body as JSON text; bytes become base64."""
    return orjson.dumps(body, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return b2a_base64(value, newline=False).decode()
    raise TypeError(f"a body cannot hold {type(value).__name__}")


_SEALED_BYTES = frozenset({"nonce", "ciphertext", "ephemeral_key", "wrapped_key"})


def bytes_of(sealed: dict[str, Any]) -> dict[str, Any]:
    """Restore the bytes of a sealed petitioner or wrapped key that `body_json` wrote."""
    restored: dict[str, Any] = {
        name: base64.b64decode(value) if name in _SEALED_BYTES else value
        for name, value in sealed.items()
    }
    if "keys" in restored:
        restored["keys"] = [bytes_of(key) for key in restored["keys"]]
    return restored


def headers_json(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Return headers as JSON text: [[name, base64], …]."""
    return orjson.dumps([[name, _plain(value)] for name, value in headers])


def stored_headers(stored: Iterable[Sequence[str]]) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, base64.b64decode(value)) for name, value in stored)


def pack(entry: Entry) -> Packed:
    """Return the row and the digest of an entry.

    This costs as much as decoding the event, so a consumer does it before its transaction.
    """
    event, body, source = entry
    *envelope, _, value, traceparent, extra_headers = event
    digest = digests.of_event(bytes.fromhex(event.event_id.replace("-", "")), value)
    extra = None if extra_headers is None else headers_json(extra_headers)
    row = (*envelope, body, value, traceparent, extra, digest, *(source or _NO_SOURCE))
    return Packed(event, EVENTS.pack(row), digest)


_NO_SOURCE = (None, None, None, None)
