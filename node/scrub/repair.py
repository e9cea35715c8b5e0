"""Healing 修复: what is done about the findings of one case, in one transaction.

- What the value proves is put right at once: columns, body, digest column, projection.
- A row whose value cannot be trusted, and a row that no node wrote, moves to `quarantined_event`.
- What is missing then is missing in the digests too. So the next round of reconciliation names it,
  its source sends it again, and `restoring` puts it back. Own events come home from peers and from
  our own topics: recovery is opened for that.

Everything is audited. A snapshot that was overtaken by a writer is simply taken again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from psycopg2.errors import SerializationFailure

from node.postgres.advisory_lock import Lock, unlock, wait_for_lock
from node.postgres.connection import Connection, Cursor
from node.recovery import flag
from node.runtime.errors import Transient
from node.scrub import findings, projection_check
from node.scrub.findings import Finding
from node.scrub.verifier import Look, examine
from node.store import audit_log, digest_check, lost_events, row_check
from node.store.events import body_json
from node.store.row_check import Checked

_ATTEMPTS: Final = 5
_WRITABLE = "set transaction isolation level repeatable read read write"
_QUARANTINE = """
    with gone as (delete from case_event where event_id = %s and case_id = %s returning *)
    insert into quarantined_event (event_id, case_id, reason, columns, value)
    select event_id, case_id, %s, to_jsonb(gone) - 'value', value from gone
"""
_RIGHT = """
    update case_event set event_type = %s, case_id = %s, version = %s, emitter = %s,
        emitter_sequence = %s, occurred_at = to_timestamp(0) + %s * interval '1 microsecond',
        recorded_at = to_timestamp(0) + %s * interval '1 microsecond', actor = %s, rule_set = %s,
        body = %s::jsonb, digest = %s
    where event_id = %s
"""
_OWED = """
    select distinct event_id::text from outbox o where case_id = %s
        and not exists (select from case_event e where e.event_id = o.event_id)
"""
_READ_OWN_TOPICS = "update scrub_state set read_own_topics = true"
_OF_ROWS = (row_check.COLUMNS_DIFFER, row_check.BODY_DIFFERS, row_check.DIGEST_ALTERED)


class Context(NamedTuple):
    """Where the scrub works: the node, who answers for it in the audit log, the live schema."""

    node: str
    actor: str
    live: str


class Outcome(NamedTuple):
    """What became of a case: findings met, and how many rows moved to quarantine."""

    found: list[Finding]
    quarantined: int


def heal(connection: Connection, context: Context, case_id: str) -> Outcome:
    """Find again what is wrong with a case and do what can be done here; the findings are kept.

    Raises `Transient` if writers were in the way again and again.
    """
    with _alone(connection):
        found: list[Finding] = []
        quarantined = 0
        # The first look may repair rows, the second judges the projection of repaired rows.
        for _ in range(3):
            look = _patiently(connection, context, case_id)
            found += [one for one in look.findings if one not in found]
            quarantined += sum(_goes(one, look) for one in look.rows)
            if not look.findings:
                break
    return Outcome(found, quarantined)


def record(connection: Connection, context: Context, looks: Iterable[Look]) -> list[Finding]:
    """Only note what was found, without healing it; the findings that are new."""
    with connection, connection.cursor() as cursor:
        new = findings.note(cursor, [one for look in looks for one in look.findings])
        for one in new:
            _audit(cursor, context, "scrub.found", one)
    return new


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    with connection, connection.cursor() as cursor:
        cursor.execute("set local lock_timeout = '30s'")
        wait_for_lock(cursor, Lock.HEALING)
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            with connection, connection.cursor() as cursor:
                unlock(cursor, Lock.HEALING)


def _patiently(connection: Connection, context: Context, case_id: str) -> Look:
    for _ in range(_ATTEMPTS):
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(_WRITABLE)
                (look,) = examine(cursor, context.node, context.live, [case_id])
                _apply(cursor, context, look)
            return look
        except SerializationFailure:
            continue
    raise Transient(f"case {case_id} was written whenever it was looked at: tried later")


def _apply(cursor: Cursor, context: Context, look: Look) -> None:
    for found in findings.note(cursor, look.findings):
        _audit(cursor, context, "scrub.found", found)
    _repair_rows(cursor, look)
    gone = [one for one in look.rows if _goes(one, look)]
    for one in gone:
        reason = one.problem or findings.ADDED
        cursor.execute(_QUARANTINE, (one.row.event_id, one.row.case_id, reason))
    _note_lost(cursor, look, gone)
    _correct_sums(cursor, look, gone)
    if any(one.kind == findings.PROJECTION_DIFFERS for one in look.findings):
        projection_check.write_again(cursor, look.case_id, look.rows)
    _close(cursor, context, look)
    _ask_for_own(cursor, context, look, gone)


def _goes(one: Checked, look: Look) -> bool:
    """Whether this row leaves the ledger."""
    return (one.is_suspect and not _vindicated(one, look)) or one in look.surplus


def _vindicated(one: Checked, look: Look) -> bool:
    return any(
        found.kind == row_check.DIGEST_ALTERED and found.event_id == one.row.event_id
        for found in look.findings
    )


def _repair_rows(cursor: Cursor, look: Look) -> None:
    wrong = {one.event_id for one in look.findings if one.kind in _OF_ROWS}
    for one in look.rows:
        event = one.event
        if one.row.event_id not in wrong or event is None:
            continue
        envelope = (event.type, *event[2:10])
        cursor.execute(
            _RIGHT,
            (*envelope, body_json(event.body).decode(), one.computed, one.row.event_id),
        )
        if event.case_id != look.case_id:
            _moved(cursor, look, one)


def _moved(cursor: Cursor, look: Look, one: Checked) -> None:
    """A row that stood under another case is back under its own, which may have been seen without
    it meanwhile."""
    assert one.event is not None
    digest_of = {one.event.event_id: one.computed}
    lost_events.restore(cursor, look.shares.node, [one.event], digest_of)
    lost_events.request(cursor, [one.event.case_id])


def _note_lost(cursor: Cursor, look: Look, gone: Sequence[Checked]) -> None:
    lost: list[lost_events.Lost] = [
        (look.case_id, one.emitter, one.row.emitter_sequence, one.row.event_id)
        for one in gone
        if one not in look.surplus
    ]
    if look.missing:
        cursor.execute(_OWED, (look.case_id,))
        owed = {event_id for (event_id,) in cursor} - {one.row.event_id for one in gone}
        known = owed.pop() if len(owed) == len(look.missing) == 1 else None
        lost += [(look.case_id, emitter, number, known) for emitter, number in look.missing]
    lost_events.note(cursor, lost)


def _correct_sums(cursor: Cursor, look: Look, gone: Sequence[Checked]) -> None:
    """Let the kept digests say what is really there now."""
    left = [one for one in look.rows if one not in gone and one.case_id == look.case_id]
    kept = look.shares.kept.get(look.case_id, {})
    true = digest_check.add_up(look.shares, look.case_id, left, by_bytes=True)
    digest_check.correct(cursor, digest_check.corrections(look.case_id, kept, true))


def _close(cursor: Cursor, context: Context, look: Look) -> None:
    """Close what is right now; what must come from elsewhere stays open until it is here."""
    case_id = look.case_id
    done = [*_OF_ROWS, findings.ADDED, findings.PROJECTION_DIFFERS, findings.UNREADABLE]
    closed = findings.heal(cursor, case_id, done, "repaired from the rows that are sound")
    if look.is_sound:
        kinds = [
            row_check.VALUE_ALTERED,
            row_check.UNDECODABLE,
            findings.MISSING,
            findings.SUMS_DIFFER,
        ]
        number = len(look.rows)
        closed += findings.heal(cursor, case_id, kinds, "came back", events=number)
    elif not look.findings:
        still = [event_id for *_, event_id in look.lost if event_id]
        kinds = [row_check.VALUE_ALTERED, row_check.UNDECODABLE]
        closed += findings.heal(cursor, case_id, kinds, "came back", still)
    for kind, event_id in closed:
        detail = {"kind": kind, "event_id": event_id}
        audit_log.note(cursor, context.actor, "scrub.healed", detail, case_id)


def _ask_for_own(cursor: Cursor, context: Context, look: Look, gone: Sequence[Checked]) -> None:
    lost = {one.emitter for one in gone if one not in look.surplus}
    lost |= {emitter for emitter, _ in look.missing}
    unknown = any(one.kind == findings.MISSING for one in look.findings) and not look.missing
    if context.node in lost or unknown:
        if not flag.is_recovering(cursor):
            audit_log.note(
                cursor, context.actor, "recover.begun", {"because": "scrub"}, look.case_id
            )
        flag.begin(cursor)
        cursor.execute(_READ_OWN_TOPICS)


def _audit(cursor: Cursor, context: Context, action: str, one: Finding) -> None:
    detail: dict[str, Any] = {"kind": one.kind, "event_id": one.event_id, "detail": one.detail}
    audit_log.note(cursor, context.actor, action, detail, one.case_id)
