"""The results of rounds 核对结果, kept in the database for metrics and pages.

If two nodes hold different bytes for one event, neither is preferred: the event is noted, and each
scrub checks the case; only the side whose row does not match its own recorded digest gives way.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from node.postgres.connection import Cursor
from node.reconcile.protocol import CaseDifference, Held
from node.scrub import findings as scrub_findings
from node.scrub import position
from node.scrub.findings import PEER_DIFFERS
from node.store import lost_events

_MOST_NAMED = 100
_SAME_AGAIN = "{} holds the same again"
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
    """The last result with a peer; instants in epoch seconds, None if it never succeeded."""

    peer: str
    mismatched: int
    checked_at: float
    last_success_at: float | None


def note(cursor: Cursor, peer: str, mismatched: int, findings: Sequence[CaseDifference]) -> None:
    """Save the result of a settled round with `peer`."""
    named = [[case.case_id, case.missing_here, case.missing_there, case.differing]
             for case in findings]  # fmt: skip
    values = {"peer": peer, "mismatched": mismatched, "findings": orjson.dumps(named).decode()}
    cursor.execute(_NOTE, values)
    if not mismatched:
        how = _SAME_AGAIN.format(peer)
        scrub_findings.heal_of_peer(cursor, PEER_DIFFERS, peer, how)


def results(cursor: Cursor) -> list[Result]:
    cursor.execute(_ALL)
    return [Result(*row) for row in cursor]


def verified_at(cursor: Cursor) -> float | None:
    """Return when this node last finished recomputing its ledger from the bytes, epoch seconds."""
    return position.read(cursor).complete_at


def note_differing(
    cursor: Cursor, peer: str, asked: Iterable[Held], differences: Iterable[CaseDifference]
) -> None:
    """Note the events that `peer` holds with other bytes, and let the scrub check their cases;
    the other cases in `asked` do not differ any more."""
    differing = {case.case_id: case.differing for case in differences if case.differing}
    closed = [case.case_id for case in asked if case.case_id not in differing]
    scrub_findings.heal_of_peer(cursor, PEER_DIFFERS, peer, _SAME_AGAIN.format(peer), closed)
    how = f"node {peer} holds other bytes for this event"
    scrub_findings.note(
        cursor,
        [
            scrub_findings.ScrubFinding(PEER_DIFFERS, case_id, event_id, how, peer)
            for case_id, event_ids in differing.items()
            for event_id in event_ids[:_MOST_NAMED]
        ],
    )
    lost_events.request(cursor, [*differing])
