"""The last word on each peer 核对结果, kept in the database: metrics and pages read it there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from node.postgres.connection import Cursor
from node.reconcile.protocol import Finding
from node.reconcile.scrub_evidence import close_differing

_NOTE = """
    insert into reconciliation (peer, checked_at, last_success_at, mismatched_cases, findings)
    values (%(peer)s, now(), case when %(mismatched)s = 0 then now() end, %(mismatched)s,
            %(findings)s::jsonb)
    on conflict (peer) do update set checked_at = now(), findings = excluded.findings,
        mismatched_cases = excluded.mismatched_cases,
        last_success_at = coalesce(excluded.last_success_at, reconciliation.last_success_at)
"""
_ALL = """
    select peer, mismatched_cases, extract(epoch from checked_at)::float,
           extract(epoch from last_success_at)::float
    from reconciliation order by peer
"""


class Result(NamedTuple):
    """What is known of a peer; instants in epoch seconds, None if it never succeeded."""

    peer: str
    mismatched: int
    checked_at: float
    last_success_at: float | None


def note(cursor: Cursor, peer: str, mismatched: int, findings: Sequence[Finding]) -> None:
    """A round with `peer` ended and could tell."""
    named = [[one.case_id, one.missing_here, one.missing_there, one.differing] for one in findings]
    values = {"peer": peer, "mismatched": mismatched, "findings": orjson.dumps(named).decode()}
    cursor.execute(_NOTE, values)
    if not mismatched:
        close_differing(cursor, peer)


def results(cursor: Cursor) -> list[Result]:
    """The last word on every peer."""
    cursor.execute(_ALL)
    return [Result(*row) for row in cursor]
