"""What a round has to do with the scrub 校验: how old its proof is, and different bytes for one id.

A node never chooses between two values of one event. It names the event, and lets its own scrub
look at the case: only the side whose row does not match its own recorded digest gives way.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.postgres.connection import Cursor
from node.reconcile.protocol import Finding, Held
from node.scrub import findings, position
from node.scrub.findings import PEER_DIFFERS
from node.store import lost_events

_MOST_NAMED = 100


def verified_at(cursor: Cursor) -> float | None:
    """When this node had last recomputed its whole ledger from the bytes, epoch seconds."""
    return position.read(cursor).complete_at


def note_differing(
    cursor: Cursor, peer: str, asked: Iterable[Held], found: Iterable[Finding]
) -> None:
    """Keep which events `peer` holds with other bytes than we do, and let the scrub look at what
    was found; of the cases that were asked for the others differ no longer."""
    several = [one for one in found if one.missing_here or one.missing_there or one.differing]
    still = {one.case_id for one in several if one.differing}
    closed = [one.case_id for one in asked if one.case_id not in still]
    how = f"{peer} holds the same again"
    findings.heal_of_peer(cursor, PEER_DIFFERS, peer, how, closed)
    findings.note(
        cursor,
        [
            findings.ScrubFinding(
                PEER_DIFFERS,
                one.case_id,
                event_id,
                f"node {peer} holds other bytes for this event",
                peer,
            )
            for one in several
            for event_id in one.differing[:_MOST_NAMED]
        ],
    )
    lost_events.request(cursor, [one.case_id for one in several if one.differing])


def close_differing(cursor: Cursor, peer: str) -> None:
    """A round proved that `peer` holds the same."""
    findings.heal_of_peer(cursor, PEER_DIFFERS, peer, f"{peer} holds the same again")
