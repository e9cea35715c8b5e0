"""Changes 变化: what new events made of a case, as far as others act upon it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cases.case import Case
from cases.routing import barred
from schemas.event import Event


class Change(NamedTuple):
    """New events of a case, and how it stands with them.

    `is_new` says that the ledger has no other events of it; `barred` are the nodes that nothing of
    it may be sent to; `conflicts` are the ids of all its events that are marked.
    """

    case_id: str
    events: Sequence[Event]
    is_new: bool
    participants: Sequence[str]
    barred: frozenset[str]
    urgent: bool
    has_become_urgent: bool
    conflicts: frozenset[str]


def change_of(before: Case, after: Case, events: Sequence[Event]) -> Change:
    """What these events made of `before`, which is new if nothing was folded into it."""
    return Change(
        case_id=after.case_id,
        events=events,
        is_new=before.position is None,
        participants=after.participants,
        barred=barred(after),
        urgent=after.urgent,
        has_become_urgent=after.urgent and not before.urgent,
        conflicts=frozenset(one.event_id for one in after.conflicts),
    )
