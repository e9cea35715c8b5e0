"""A pass 一轮校验 over the ledger: chunk after chunk of cases, each in a snapshot of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import psycopg2
from psycopg2.errors import QueryCanceled

from node.postgres.connection import Connection, Cursor
from node.runtime.errors import Transient
from node.scrub import findings, position, repair
from node.scrub.findings import Finding
from node.scrub.repair import Context
from node.scrub.verifier import Look, examine, next_cases
from node.store import audit_log, lost_events

log = logging.getLogger(__name__)

# Some 500 events: about 20 ms of work, and what a snapshot is held for.
CASES_AT_A_TIME: Final = 50
_SNAPSHOT = "set transaction isolation level repeatable read read write"
_HAVE_OPEN = """
    select distinct case_id from scrub_finding where healed_at is null and case_id = any(%s)
"""
_CORRUPT = "XX"  # SQLSTATE: internal error, data or index corrupted

# One statement, thus one snapshot: writers change cases and buckets in the same transaction.
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


class Chunk(NamedTuple):
    """What a chunk of cases gave: events recomputed, what was found, rows put into quarantine."""

    events: int
    found: list[Finding]
    quarantined: int


class Verified(NamedTuple):
    """What a whole pass by a command gave."""

    cases: int
    events: int
    found: list[Finding]


def verify_cases(
    connection: Connection, context: Context, case_ids: Sequence[str], *, heals: bool
) -> Chunk:
    """Recompute these cases from their bytes, note what is wrong, and heal it with `heals`."""
    looks = _looks(connection, context, case_ids)
    events = sum(len(look.rows) for look in looks)
    found: list[Finding] = []
    quarantined = 0
    if not heals:
        repair.record(connection, context, looks)
        return Chunk(events, [one for look in looks for one in look.findings], 0)
    for case_id in _to_heal(connection, looks):
        try:
            done = repair.heal(connection, context, case_id)
        except Transient:
            _look_later(connection, case_id)
            continue
        except psycopg2.Error as error:
            found += _unreadable(connection, context, case_id, error)
            continue
        found += done.found
        quarantined += done.quarantined
    return Chunk(events, found, quarantined)


def verify_buckets(connection: Connection, context: Context, *, heals: bool) -> list[Finding]:
    """Add up the digests of the cases of each bucket and compare; corrected with `heals`."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_CORRECT_BUCKETS if heals else _BUCKETS)
        found = [_of_bucket(*row) for row in cursor.fetchall()]
        for one in findings.note(cursor, found):
            detail = {"kind": one.kind, "peer": one.peer, "detail": one.detail}
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
    """Recompute the whole ledger now, or only these cases.

    `moved` is told how many cases and events are done.
    """
    with connection, connection.cursor() as cursor:
        began = position.read(cursor).now
    done, events, last = 0, 0, ""
    found: list[Finding] = []
    while chunk := _next(connection, context, last, done, cases):
        result = verify_cases(connection, context, chunk, heals=heals)
        done, events, last = done + len(chunk), events + result.events, chunk[-1]
        found += result.found
        moved(done, events)
    if cases is None:
        found += verify_buckets(connection, context, heals=heals)
        with connection, connection.cursor() as cursor:
            position.note_complete(cursor, began, events)
    return Verified(done, events, found)


def _next(
    connection: Connection,
    context: Context,
    last: str,
    done: int,
    cases: Sequence[str] | None,
) -> list[str]:
    if cases is not None:
        return [*cases[done : done + CASES_AT_A_TIME]]
    with connection, connection.cursor() as cursor:
        return next_cases(cursor, context.node, last, CASES_AT_A_TIME)


def _looks(connection: Connection, context: Context, case_ids: Sequence[str]) -> list[Look]:
    """Look at these cases; where Postgres cannot read a row, or takes longer than it may, at half
    of them and so on."""
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
        *_looks(connection, context, case_ids[:half]),
        *_looks(connection, context, case_ids[half:]),
    ]


def _look_later(connection: Connection, case_id: str) -> None:
    """Writers were in the way: the case is looked at again before others."""
    with connection, connection.cursor() as cursor:
        lost_events.request(cursor, [case_id])


def _unreadable(
    connection: Connection, context: Context, case_id: str, error: psycopg2.Error
) -> list[Finding]:
    if (error.pgcode or "")[:2] != _CORRUPT:
        raise error
    detail = f"Postgres cannot read a row of the case ({error.pgcode}): look at the disk"
    found = [Finding(findings.UNREADABLE, case_id, None, detail)]
    with connection, connection.cursor() as cursor:
        findings.note(cursor, found)
    return found


def _to_heal(connection: Connection, looks: Sequence[Look]) -> list[str]:
    """Cases with findings, and those that had some: they may be closed."""
    with connection, connection.cursor() as cursor:
        opened = _with_open(cursor, [look.case_id for look in looks])
    return [look.case_id for look in looks if look.findings or look.case_id in opened]


def _with_open(cursor: Cursor, case_ids: Sequence[str]) -> set[str]:
    cursor.execute(_HAVE_OPEN, ([*case_ids],))
    return {case_id for (case_id,) in cursor}


def _of_bucket(peer: str, bucket: int, events: int, _digest: int) -> Finding:
    detail = f"bucket {bucket}: its cases have {events:+d} events against the sum that is offered"
    return Finding(findings.BUCKETS_DIFFER, "", None, detail, f"{peer}/{bucket}")
