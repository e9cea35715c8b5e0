"""Heal 修复 the findings of a case in one transaction.

- Columns, body, digest column and projection are corrected from the value at once.
- A row whose value cannot be trusted, or that no node wrote, moves to `quarantined_event`.
- A missing event is taken out of the digests too. So the next round of reconciliation names it, its
  source sends it again, and `node.store.lost_events` restores it. For own events recovery is begun:
  they come from peers and from our own topics.

Everything is audited. If a writer changes the case meanwhile, it is examined again.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from psycopg2.errors import SerializationFailure

from node.postgres.advisory_lock import Lock, unlock, wait_for_lock
from node.postgres.connection import Connection, Cursor
from node.recovery import flag
from node.runtime.errors import Transient
from node.scrub import findings, projection_check
from node.scrub.findings import ScrubFinding
from node.scrub.verifier import ExaminedCase, examine
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
_SUSPECT = (row_check.VALUE_ALTERED, row_check.UNDECODABLE)
_OF_ROWS = (row_check.COLUMNS_DIFFER, row_check.BODY_DIFFERS, row_check.DIGEST_ALTERED)


class Context(NamedTuple):
    """The node that is scrubbed, the actor in the audit log, and the schema of the live tables."""

    node: str
    actor: str
    live: str


class Healed(NamedTuple):
    """The findings of a case that was healed, and the number of rows moved to quarantine."""

    found: list[ScrubFinding]
    quarantined: int


def heal(connection: Connection, context: Context, case_id: str) -> Healed:
    """Examine a case again, store its findings and heal what can be healed here.

    Raises `Transient` if writers changed the case at every try.
    """
    with _alone(connection):
        found: list[ScrubFinding] = []
        quarantined = 0
        # The first examination may repair rows, the second one checks their projection.
        for _ in range(3):
            case = _heal_once(connection, context, case_id)
            found += [finding for finding in case.findings if finding not in found]
            quarantined += sum(_goes(checked, case) for checked in case.rows)
            if not case.findings:
                break
    return Healed(found, quarantined)


def record(connection: Connection, context: Context, found: Iterable[ScrubFinding]) -> None:
    """Store findings without healing them."""
    with connection, connection.cursor() as cursor:
        _note(cursor, context, found)


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


def _heal_once(connection: Connection, context: Context, case_id: str) -> ExaminedCase:
    for _ in range(_ATTEMPTS):
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(_WRITABLE)
                (case,) = examine(cursor, context.node, context.live, [case_id])
                _apply(cursor, context, case)
            return case
        except SerializationFailure:
            continue
    raise Transient(f"case {case_id} was written during every examination: tried later")


def _apply(cursor: Cursor, context: Context, case: ExaminedCase) -> None:
    _note(cursor, context, case.findings)
    _repair_rows(cursor, case)
    gone = [checked for checked in case.rows if _goes(checked, case)]
    for checked in gone:
        reason = checked.problem or findings.ADDED
        cursor.execute(_QUARANTINE, (checked.row.event_id, checked.row.case_id, reason))
    _note_lost(cursor, case, gone)
    _correct_sums(cursor, case, gone)
    if any(finding.kind == findings.PROJECTION_DIFFERS for finding in case.findings):
        projection_check.write_again(cursor, case.case_id, case.rows)
    _close(cursor, context, case)
    _ask_for_own(cursor, context, case, gone)


def _goes(checked: Checked, case: ExaminedCase) -> bool:
    """Return whether this row leaves the ledger; it stays if only its digest is wrong."""
    vindicated = any(
        finding.kind == row_check.DIGEST_ALTERED and finding.event_id == checked.row.event_id
        for finding in case.findings
    )
    return (checked.is_suspect and not vindicated) or checked in case.surplus


def _repair_rows(cursor: Cursor, case: ExaminedCase) -> None:
    wrong = {finding.event_id for finding in case.findings if finding.kind in _OF_ROWS}
    for checked in case.rows:
        event, event_id = checked.event, checked.row.event_id
        if event_id not in wrong or event is None:
            continue
        body = body_json(event.body).decode()
        cursor.execute(_RIGHT, (event.type, *event[2:10], body, checked.computed, event_id))
        if event.case_id != case.case_id:
            # The row is under its own case again, which may have been examined without it.
            digest_of = {event.event_id: checked.computed}
            lost_events.restore(cursor, case.shares.node, [event], digest_of)
            lost_events.request(cursor, [event.case_id])


def _note_lost(cursor: Cursor, case: ExaminedCase, gone: Sequence[Checked]) -> None:
    lost: list[lost_events.LostEvent] = [
        (case.case_id, checked.emitter, checked.row.emitter_sequence, checked.row.event_id)
        for checked in gone
        if checked not in case.surplus
    ]
    if case.missing:
        cursor.execute(_OWED, (case.case_id,))
        owed = {event_id for (event_id,) in cursor} - {checked.row.event_id for checked in gone}
        known = owed.pop() if len(owed) == len(case.missing) == 1 else None
        lost += [(case.case_id, emitter, number, known) for emitter, number in case.missing]
    lost_events.note(cursor, lost)


def _correct_sums(cursor: Cursor, case: ExaminedCase, gone: Sequence[Checked]) -> None:
    """Set the stored digests to those of the remaining rows."""
    case_id = case.case_id
    left = [row for row in case.rows if row not in gone and row.case_id == case_id]
    true = digest_check.add_up(case.shares, case_id, left, by_bytes=True)
    digest_check.correct(cursor, case_id, case.shares.kept.get(case_id, {}), true)


def _close(cursor: Cursor, context: Context, case: ExaminedCase) -> None:
    """Close the findings that are healed; those of missing events stay open until these return."""
    case_id = case.case_id
    done = [*_OF_ROWS, findings.ADDED, findings.PROJECTION_DIFFERS, findings.UNREADABLE]
    closed = findings.heal(cursor, case_id, done, "repaired from the rows that are sound")
    if case.is_sound:
        kinds = (*_SUSPECT, findings.MISSING, findings.SUMS_DIFFER)
        closed += findings.heal(cursor, case_id, kinds, "came back", events=len(case.rows))
    elif not case.findings:
        still = [event_id for *_, event_id in case.lost if event_id]
        closed += findings.heal(cursor, case_id, _SUSPECT, "came back", still)
    for kind, event_id in closed:
        detail = {"kind": kind, "event_id": event_id}
        audit_log.note(cursor, context.actor, "scrub.healed", detail, case_id)


def _ask_for_own(
    cursor: Cursor, context: Context, case: ExaminedCase, gone: Sequence[Checked]
) -> None:
    lost = {checked.emitter for checked in gone if checked not in case.surplus}
    lost |= {emitter for emitter, _ in case.missing}
    missing = any(finding.kind == findings.MISSING for finding in case.findings)
    unknown = missing and not case.missing
    if context.node in lost or unknown:
        if not flag.is_recovering(cursor):
            detail = {"because": "scrub"}
            audit_log.note(cursor, context.actor, "recover.begun", detail, case.case_id)
        flag.begin(cursor)
        cursor.execute(_READ_OWN_TOPICS)


def _note(cursor: Cursor, context: Context, found: Iterable[ScrubFinding]) -> None:
    for new in findings.note(cursor, found):
        detail = {"kind": new.kind, "event_id": new.event_id, "detail": new.detail}
        audit_log.note(cursor, context.actor, "scrub.found", detail, new.case_id)
