"""The fold 折叠 computes a case from a set of its events (docs/contract.md §3).

It is pure and total. Each event is taken once, in the order (version, emitter, event_id). One that
is not legal at its place is marked as a conflict and changes nothing else; a gap in an emitter's
sequence marks the case as incomplete and names what is missing.
"""

from collections.abc import Iterable
from operator import itemgetter

from cases.case import Case, Conflict, Gap, Position
from cases.rules import take_effect, violation
from schemas.event import Event


def position(event: Event) -> Position:
    """Return the place of `event` in the fold order of its case."""
    return Position(event.version, event.emitter, event.event_id)


def fold(case_id: str, events: Iterable[Event]) -> Case:
    """Return the case of these events, given in any order and any number of times."""
    return _extended(Case(case_id), events)


def continues(case: Case, events: Iterable[Event]) -> bool:
    """Return whether all `events` come after everything that `case` has folded."""
    return case.position is None or min(map(position, events)) > case.position


def extend(case: Case, events: Iterable[Event]) -> Case:
    """Return `case` extended by the events after its position; `case` itself is not changed.

    Events at or before the position are passed over: if one of them is new, fold all again.
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
    """Fold one more event into `case` itself, which nothing else may use meanwhile."""
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
    """Record the event's number; return False if the numbers do not rise with the versions."""
    expected = case.sequences.get(event.emitter, 0) + 1
    number = event.emitter_sequence
    if number < expected:
        return False
    if number > expected:
        case.gaps.append(Gap(event.emitter, expected, number - 1))
    case.sequences[event.emitter] = number
    return True
