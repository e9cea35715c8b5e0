"""Foreseeing 预演: what cases will be, worked out before the transaction that makes them so.

While one batch is applied, the next one reads its cases as they stand, folds them and packs their
rows. Nothing is held meanwhile; the transaction holds the rows and takes what was foreseen only
where a row still has the stamp that was read, or is still not there. The rest it works out itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cases.case import Case
from cases.fold import continues, extend
from node import case_rows, facets
from node.case_rows import Row
from node.changes import change_of
from node.postgres import Cursor
from node.projection import Foreseen, Held, Stamp, Step, row_of
from schemas.event import Event


class Crossing(NamedTuple):
    """When (micros) events come to node `home` from others; what it emitted has not crossed."""

    exchanged_at: int | None = None
    home: str = ""


class Seen(NamedTuple):
    """A case as it stands or will stand, not held, and the stamp of its row."""

    held: Held
    stamp: Stamp


class Ahead(NamedTuple):
    """What a batch will make of its cases, and how those stand then."""

    foreseen: dict[str, Foreseen]
    seen: dict[str, Seen]


_LOOK = (
    "select case_id, xmin::text, revision, fold from petition_case where case_id = any(%s::text[])"
)
_NO_ROW = Stamp(None)


def look(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, Seen]:
    """These cases as they stand; those unknown here are left out."""
    cursor.execute(_LOOK, ([*case_ids],))
    return {
        case_id: Seen(Held(Case.from_json(folded), revision), Stamp(stamp))
        for case_id, stamp, revision, folded in cursor
    }


def begins(events: Iterable[Event]) -> bool:
    """Whether a case begins with one of these: then it is new here, or a duplicate."""
    return any(event.version == 1 for event in events)


def foresee(
    by_case: Mapping[str, list[Event]], seen: Mapping[str, Seen], crossing: Crossing
) -> Ahead:
    """What these events make of cases that begin or were seen; not of those whose order they
    disturb."""
    ahead = Ahead({}, {})
    for case_id, events in by_case.items():
        one = seen.get(case_id) or _unseen(case_id, events)
        if one is not None and continues(one.held.case, events):
            step = Step(one.held.case, extend(one.held.case, events), events)
            _add(ahead, one, step, crossing)
    return ahead


def new_case(case: Case, events: Sequence[Event]) -> Foreseen:
    """An own case that is folded from all of its events already."""
    step = Step(Case(case.case_id), case, [*events])
    return _foreseen(step, row_of(step, {}, *Crossing()), _NO_ROW)


def _unseen(case_id: str, events: Iterable[Event]) -> Seen | None:
    return Seen(Held(Case(case_id), 0), _NO_ROW) if begins(events) else None


def _add(ahead: Ahead, one: Seen, step: Step, crossing: Crossing) -> None:
    case_id = step.after.case_id
    row = row_of(step, {case_id: one.held}, *crossing)
    foreseen = ahead.foreseen[case_id] = _foreseen(step, row, one.stamp)
    ahead.seen[case_id] = Seen(Held(step.after, row.revision), foreseen.stamp)


def _foreseen(step: Step, row: Row, base: Stamp) -> Foreseen:
    return Foreseen(
        change=change_of(*step),
        base=base,
        stamp=Stamp(),
        row=case_rows.packed(row),
        facets=facets.packed(step.before, step.after),
    )
