"""The fold 折叠: a set of events of one case → the case (docs/contract.md §3).

Pure and total. Events are taken in the order (version, emitter, event_id), each once. One that
is not legal where it stands is marked as a conflict and changes nothing else; a hole in an
emitter's sequence marks the case incomplete and names what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from cases.case import Case, Conflict, Gap, Position
from cases.rules import take_effect, violation
from schemas.event import Event


def position(event: Event) -> Position:
    """Where `event` stands in the fold order of its case."""
    return Position(event.version, event.emitter, event.event_id)


def fold(case_id: str, events: Iterable[Event]) -> Case:
    """The case that `events` give, in whatever order and however often they are named."""
    return _extended(Case(case_id), events)


def continues(case: Case, events: Iterable[Event]) -> bool:
    """Whether all `events` stand after everything that `case` has folded."""
    return case.position is None or min(map(position, events)) > case.position


def extend(case: Case, events: Iterable[Event]) -> Case:
    """`case` folded on by events that stand after its position; `case` itself is not changed.

    Events at or before the position are passed over: the caller folds anew when one is new.
    """
    return _extended(case.copy(), events)


def _extended(case: Case, events: Iterable[Event]) -> Case:
    placed = [(position(event), event) for event in events]
    placed.sort(key=itemgetter(0))
    for here, event in placed:
        if case.position is None or here > case.position:
            _take(case, event, here)
    return case


def advance(case: Case, event: Event) -> None:
    """Fold one more event into `case` itself, for who made both and holds the case alone."""
    _take(case, event, position(event))


def _take(case: Case, event: Event, here: Position) -> None:
    case.position = here
    case.version = event.version
    if not _in_sequence(case, event):
        case.conflicts.append(Conflict(event.event_id, "sequence_repeated"))
        return
    found = violation(case, event)
    if found is None:
        take_effect(case, event)
    else:
        case.conflicts.append(Conflict(event.event_id, found.rule))


def _in_sequence(case: Case, event: Event) -> bool:
    """Note the event's number; False if this emitter's numbers do not rise with its versions."""
    expected = case.sequences.get(event.emitter, 0) + 1
    number = event.emitter_sequence
    if number < expected:
        return False
    if number > expected:
        case.gaps.append(Gap(event.emitter, expected, number - 1))
    case.sequences[event.emitter] = number
    return True
