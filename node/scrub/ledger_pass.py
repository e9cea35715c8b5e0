"""A pass 一轮校验 over the ledger takes chunks of cases, each in a snapshot of its own."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import psycopg2
from psycopg2.errors import QueryCanceled

from node.postgres.connection import Connection
from node.runtime.errors import Transient
from node.scrub import findings, position, repair
from node.scrub.findings import ScrubFinding
from node.scrub.repair import Context
from node.scrub.verifier import ExaminedCase, examine, next_cases
from node.store import audit_log, lost_events

log = logging.getLogger(__name__)

# About 500 events and 20 ms of work, during which the snapshot is held.
CASES_AT_A_TIME: Final = 50
_SNAPSHOT = "set transaction isolation level repeatable read read write"
_HAVE_OPEN = """
    select distinct case_id from scrub_finding where healed_at is null and case_id = any(%s)
"""
_CORRUPT = "XX"  # SQLSTATE: internal error, data or index corrupted

# A single statement has one snapshot, and writers change cases and buckets in one transaction.
_BUCKETS = """
    with cases as (
        select peer, bucket, sum(events) as events, bit_xor(digest) as digest
        from case_digest group by 1, 2
    ), sums as (
        select peer, bucket, sum(events) as events, bit_xor(digest) as digest from (
            select peer, bucket, events, digest from digest_bucket
            union all select peer, bucket, events, digest from digest_change
        ) both_parts group by 1, 2
    )
    select peer, bucket, (coalesce(c.events, 0) - coalesce(s.events, 0))::integer as events,
           coalesce(c.digest, 0) # coalesce(s.digest, 0) as digest
    from cases c full join sums s using (peer, bucket)
    where coalesce(c.events, 0) <> coalesce(s.events, 0)
        or coalesce(c.digest, 0) <> coalesce(s.digest, 0)
"""
_CORRECT_BUCKETS = f"""
    insert into digest_change (peer, bucket, events, digest) {_BUCKETS}
    returning peer, bucket, events, digest
"""


class Verified(NamedTuple):
    """The numbers of cases and events recomputed, the findings, and the rows in quarantine."""

    cases: int
    events: int
    found: list[ScrubFinding]
    quarantined: int = 0


def verify_cases(
    connection: Connection, context: Context, case_ids: Sequence[str], *, heals: bool
) -> Verified:
    """Recompute these cases from their bytes, store the findings, and heal them with `heals`."""
    examined = _examine(connection, context, case_ids)
    events = sum(len(case.rows) for case in examined)
    found: list[ScrubFinding] = []
    quarantined = 0
    if not heals:
        found = [finding for case in examined for finding in case.findings]
        repair.record(connection, context, found)
        return Verified(len(case_ids), events, found)
    for case_id in _to_heal(connection, examined):
        try:
            done = repair.heal(connection, context, case_id)
        except Transient:
            with connection, connection.cursor() as cursor:
                lost_events.request(cursor, [case_id])
            continue
        except psycopg2.Error as error:
            found += _unreadable(connection, context, case_id, error)
            continue
        found += done.found
        quarantined += done.quarantined
    return Verified(len(case_ids), events, found, quarantined)


def verify_buckets(connection: Connection, context: Context, *, heals: bool) -> list[ScrubFinding]:
    """Compare each bucket with the sum of its cases' digests; correct it with `heals`."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_CORRECT_BUCKETS if heals else _BUCKETS)
        found = [
            ScrubFinding(
                *(findings.BUCKETS_DIFFER, "", None),
                f"bucket {bucket}: its cases have {events:+d} events against its offered sum",
                f"{peer}/{bucket}",
            )
            for peer, bucket, events, _ in cursor.fetchall()
        ]
        for new in findings.note(cursor, found):
            detail = {"kind": new.kind, "peer": new.peer, "detail": new.detail}
            audit_log.note(cursor, context.actor, "scrub.found", detail)
        if heals:
            findings.heal(cursor, "", [findings.BUCKETS_DIFFER], "added up again")
    return found


def verify_ledger(
    connection: Connection,
    context: Context,
    moved: Callable[[int, int], None],
    *,
    heals: bool,
    cases: Sequence[str] | None = None,
) -> Verified:
    """Recompute the ledger or only these cases; call `moved` with the cases and events done."""
    with connection, connection.cursor() as cursor:
        began = position.read(cursor).now
    done, events = 0, 0
    found: list[ScrubFinding] = []
    for chunk in _chunks(connection, context.node, cases):
        result = verify_cases(connection, context, chunk, heals=heals)
        done, events = done + result.cases, events + result.events
        found += result.found
        moved(done, events)
    if cases is None:
        found += verify_buckets(connection, context, heals=heals)
        with connection, connection.cursor() as cursor:
            position.note_complete(cursor, began, events)
    return Verified(done, events, found)


def _chunks(
    connection: Connection, node: str, cases: Sequence[str] | None
) -> Iterator[Sequence[str]]:
    if cases is not None:
        yield from (cases[n : n + CASES_AT_A_TIME] for n in range(0, len(cases), CASES_AT_A_TIME))
        return
    last = ""
    while True:
        with connection, connection.cursor() as cursor:
            chunk = next_cases(cursor, node, last, CASES_AT_A_TIME)
        if not chunk:
            return
        yield chunk
        last = chunk[-1]


def _examine(
    connection: Connection, context: Context, case_ids: Sequence[str]
) -> list[ExaminedCase]:
    """Examine these cases; where Postgres cannot read a row or is too slow, halve them."""
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_SNAPSHOT)
            return examine(cursor, context.node, context.live, case_ids)
    except psycopg2.Error as error:
        if len(case_ids) == 1:
            _unreadable(connection, context, case_ids[0], error)
            return []
        if (error.pgcode or "")[:2] != _CORRUPT and not isinstance(error, QueryCanceled):
            raise
    half = len(case_ids) // 2
    return [
        *_examine(connection, context, case_ids[:half]),
        *_examine(connection, context, case_ids[half:]),
    ]


def _unreadable(
    connection: Connection, context: Context, case_id: str, error: psycopg2.Error
) -> list[ScrubFinding]:
    if (error.pgcode or "")[:2] != _CORRUPT:
        raise error
    detail = f"Postgres cannot read a row of the case ({error.pgcode}): look at the disk"
    found = [ScrubFinding(findings.UNREADABLE, case_id, None, detail)]
    with connection, connection.cursor() as cursor:
        findings.note(cursor, found)
    return found


def _to_heal(connection: Connection, examined: Sequence[ExaminedCase]) -> list[str]:
    """Return the cases with findings, and those with open ones, which may be closed."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_HAVE_OPEN, ([case.case_id for case in examined],))
        opened = {case_id for (case_id,) in cursor}
    return [case.case_id for case in examined if case.findings or case.case_id in opened]
