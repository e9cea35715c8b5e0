"""Check a ledger row against its bytes; `value` is right if it matches the recorded digest."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

from node.postgres.connection import Cursor
from node.store import digests
from node.store.events import body_json
from schemas.codec import decode_as, schema_of
from schemas.envelope import decode_envelope
from schemas.errors import Undecodable
from schemas.event import ENVELOPE_FIELDS, Event
from schemas.validation.record_check import check_envelope

# The kinds of findings about one row.
VALUE_ALTERED: Final = "value_altered"  # the value does not match its digest
UNDECODABLE: Final = "undecodable"  # the value is no event any more
COLUMNS_DIFFER: Final = "columns_differ"  # a column differs from the value
BODY_DIFFERS: Final = "body_differs"  # the body is not that of the value
DIGEST_ALTERED: Final = "digest_altered"  # the digest column is wrong, the value is right

_READ = """
    select event_type, event_id::text, case_id, version, emitter, emitter_sequence,
           (extract(epoch from occurred_at) * 1000000)::bigint,
           (extract(epoch from recorded_at) * 1000000)::bigint,
           actor, rule_set, body, value, digest
    from case_event where case_id = any(%s)
"""


class Checked(NamedTuple):
    """A row and the digest recorded in it; the digest and, if it decodes, the event of its bytes.

    `row` has the columns as they are, `problem` is the kind of finding, if any.
    """

    row: Event
    digest: int
    computed: int
    event: Event | None
    problem: str | None

    @property
    def is_suspect(self) -> bool:
        """Return whether the value itself cannot be trusted."""
        return self.problem in (VALUE_ALTERED, UNDECODABLE)

    @property
    def case_id(self) -> str:
        """Return the case of the event, from its value where that can be trusted."""
        return self._trusted.case_id

    @property
    def emitter(self) -> str:
        """Return the emitter of the event, from its value where that can be trusted."""
        return self._trusted.emitter

    @property
    def _trusted(self) -> Event:
        return self.row if self.event is None or self.is_suspect else self.event


def read(cursor: Cursor, case_ids: Iterable[str]) -> list[Checked]:
    """Return every row of these cases, recomputed from its bytes."""
    cursor.execute(_READ, ([*case_ids],))
    return [
        _check(Event._make((*head, bytes(value), "", None)), digest)
        for *head, value, digest in cursor
    ]


def _check(row: Event, digest: int) -> Checked:
    """Recompute the digest, decode the value, and compare both with the columns."""
    computed = digests.of_event(bytes.fromhex(row.event_id.replace("-", "")), row.value)
    try:
        event = _decode(row.type, row.value)
    except Undecodable:
        return Checked(row, digest, computed, None, UNDECODABLE)
    return Checked(row, digest, computed, event, _problem(row, digest, computed, event))


def _decode(event_type: str, value: bytes) -> Event:
    """Return the event in a stored value; raises `Undecodable`.

    `event_type` is used only if this release does not know the schema of the value.
    """
    schema = schema_of(value)
    record = decode_envelope(value) if schema is None else decode_as(schema, value)
    check_envelope(record)
    envelope = [record.pop(name) for name in ENVELOPE_FIELDS]
    type_ = event_type if schema is None else schema.type
    return Event._make((type_, *envelope, record, value, "", None))


def _problem(row: Event, digest: int, computed: int, event: Event) -> str | None:
    same_columns = event[:10] == row[:10]
    same_body = orjson.loads(body_json(event.body)) == row.body
    if computed != digest or event.event_id != row.event_id:
        # Releases before the digests stored none; then columns and body decide.
        unrecorded = digest == 0 and same_columns and same_body
        return DIGEST_ALTERED if unrecorded else VALUE_ALTERED
    if not same_columns:
        return COLUMNS_DIFFER
    return None if same_body else BODY_DIFFERS
