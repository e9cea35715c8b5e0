"""One ledger row against its own bytes: `value` is the truth if it matches the recorded digest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from node.postgres.connection import Cursor
from node.store import digests
from node.store.events import body_json
from schemas.codec import decode_as, schema_of
from schemas.envelope import check_envelope, decode_envelope
from schemas.errors import Undecodable
from schemas.event import ENVELOPE_FIELDS, Event

# The kinds of findings about one row.
VALUE_ALTERED: Final = "value_altered"  # the value does not match its digest
UNDECODABLE: Final = "undecodable"  # the value is no event any more
COLUMNS_DIFFER: Final = "columns_differ"  # a column says something else than the value
BODY_DIFFERS: Final = "body_differs"  # the body is not that of the value
DIGEST_ALTERED: Final = "digest_altered"  # the digest column is wrong, the value is right

_READ = """
    select event_id::text, event_type, case_id, version, emitter, emitter_sequence,
           (extract(epoch from occurred_at) * 1000000)::bigint,
           (extract(epoch from recorded_at) * 1000000)::bigint,
           actor, rule_set, body, value, digest
    from case_event where case_id = any(%s)
"""


class Row(NamedTuple):
    """A ledger row as it stands; instants in micros."""

    event_id: str
    event_type: str
    case_id: str
    version: int
    emitter: str
    emitter_sequence: int
    occurred_at: int
    recorded_at: int
    actor: str
    rule_set: str
    body: Any
    value: bytes
    digest: int


class Checked(NamedTuple):
    """A row, the digest of its bytes, the event in them if they are one, and what is wrong."""

    row: Row
    computed: int
    event: Event | None
    problem: str | None

    @property
    def is_suspect(self) -> bool:
        """Whether the value itself cannot be trusted."""
        return self.problem in (VALUE_ALTERED, UNDECODABLE)

    @property
    def case_id(self) -> str:
        """The case that the event belongs to, by its value where that can be trusted."""
        trusted = self.event is not None and not self.is_suspect
        return self.event.case_id if trusted and self.event else self.row.case_id

    @property
    def emitter(self) -> str:
        """Who emitted it, by its value where that can be trusted."""
        trusted = self.event is not None and not self.is_suspect
        return self.event.emitter if trusted and self.event else self.row.emitter


def read(cursor: Cursor, case_ids: Iterable[str]) -> list[Checked]:
    """Every row of these cases, recomputed from its bytes."""
    cursor.execute(_READ, ([*case_ids],))
    return [check(Row._make((*head, bytes(value), digest))) for *head, value, digest in cursor]


def check(row: Row) -> Checked:
    """Recompute the digest, decode the value, and compare both with the columns."""
    computed = digests.of_event(bytes.fromhex(row.event_id.replace("-", "")), row.value)
    try:
        event = decode(row.event_type, row.value)
    except Undecodable:
        return Checked(row, computed, None, UNDECODABLE)
    return Checked(row, computed, event, _problem(row, computed, event))


def decode(event_type: str, value: bytes) -> Event:
    """The event in a stored value; `event_type` counts only if this release does not know its
    schema. Raises `Undecodable`."""
    schema = schema_of(value)
    record = decode_envelope(value) if schema is None else decode_as(schema, value)
    check_envelope(record)
    envelope = [record.pop(name) for name in ENVELOPE_FIELDS]
    type_ = event_type if schema is None else schema.type
    return Event._make((type_, *envelope, record, value, "", None))


def _problem(row: Row, computed: int, event: Event) -> str | None:
    # The first ten fields of both, without the body.
    same_columns = (event.event_id, event.type, *event[2:10]) == row[:10]
    same_body = orjson.loads(body_json(event.body)) == row.body
    if computed != row.digest or event.event_id != row.event_id:
        # Releases before the digests recorded none; then columns and body are the evidence.
        unrecorded = row.digest == 0 and same_columns and same_body
        return DIGEST_ALTERED if unrecorded else VALUE_ALTERED
    if not same_columns:
        return COLUMNS_DIFFER
    return None if same_body else BODY_DIFFERS
