"""Run the clocks 计时 of a case in the fold: events start, meet, replace and end them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from cases.accusation import is_barred
from cases.case import Case, Clock, State
from cases.clocks import names
from cases.clocks.names import ALL, ARRIVALS, DISPOSALS, REPLIES, WINDOWS
from cases.nodes import NATIONAL
from cases.regulations import RULE_SETS, regulation
from cases.vocabulary import event_types as types
from schemas.event import Event


class Ends(NamedTuple):
    """The clocks that an event meets (if its emitter owns them) and those that it cancels."""

    meets: frozenset[str] = frozenset()
    cancels: frozenset[str] = frozenset()
    # The event brings its own clock and meets it, so clocks are started first.
    own: bool = False


_TAKEN_UP = DISPOSALS | {names.LANDING, names.ACCEPTANCE}
_PASSED_ON = Ends(DISPOSALS | {names.LANDING}, frozenset({names.ACCEPTANCE, names.OBJECTION}))

ENDS: dict[str, Ends] = {
    types.FORWARDED: _PASSED_ON,
    types.ASSIGNED: _PASSED_ON,
    types.LANDED: Ends(frozenset({names.LANDING}), own=True),
    types.OBJECTED: Ends(frozenset({names.OBJECTION}), ARRIVALS | {names.REPORT}),
    types.ACCEPTED: Ends(_TAKEN_UP, frozenset({names.OBJECTION})),
    types.NOT_ACCEPTED: Ends(_TAKEN_UP | {names.REPORT}, frozenset({names.OBJECTION})),
    types.NO_LONGER_ACCEPTED: Ends(_TAKEN_UP | {names.REPORT}, frozenset({names.OBJECTION})),
    types.DIVERTED: Ends(_TAKEN_UP | {names.REPORT}, REPLIES | {names.OBJECTION}),
    types.DECIDED: Ends(REPLIES | {names.REPORT}),
    types.REVIEW_REQUESTED: Ends(frozenset({names.REVIEW_REQUEST})),
    types.REVIEW_DECIDED: Ends(frozenset({names.REVIEW})),
    types.RECHECK_REQUESTED: Ends(frozenset({names.RECHECK_REQUEST})),
    types.RECHECK_DECIDED: Ends(frozenset({names.RECHECK}), own=True),
    types.WITHDRAWN: Ends(cancels=ALL),
    types.MERGED: Ends(cancels=ALL),
}

# Any node may meet these, not their owner alone: the centre may dispose of a matter for the office,
# the windows are the petitioner's rights, the next higher body decides a review.
_MET_BY_ANYBODY = frozenset(
    {
        *(names.DISPOSAL, names.REVIEW_REQUEST, names.REVIEW),
        *(names.RECHECK_REQUEST, names.RECHECK, names.REPORT),
    }
)
# The extension takes the place of the time that it extends.
_REPLACES = {names.EXTENSION: names.REPLY}
_TAKES_AWAY = frozenset({types.FORWARDED, types.ASSIGNED, types.CORRECTED})
_OWNED_BY_RECEIVER = frozenset(
    {
        *(types.FORWARDED, types.ASSIGNED, types.OBJECTION_RULED, types.ACCEPTANCE_OVERRULED),
        types.SUPERVISION_ISSUED,
    }
)


def run_clocks(case: Case, event: Event) -> None:
    """Start and end the clocks of `case` by a legal event."""
    ends = ENDS.get(event.type)
    _take_away(case, event)
    if ends is not None and not ends.own:
        _end(case, event, ends)
    for started in event.body.get("clocks") or ():
        if event.type != types.CORRECTED or _is_wanted(case, started["clock"]):
            _start(case, event, started)
    if ends is not None and ends.own:
        _end(case, event, ends)
    _end_supervision(case, event)
    _end_evaluation(case, event)


def _is_wanted(case: Case, name: str) -> bool:
    """Return False if the clock was ended by an event that this correction did not know."""
    return case.running(name) is not None or (name == names.REPLY and case.state == State.ACCEPTED)


def _take_away(case: Case, event: Event) -> None:
    """End the duties of a node that loses the case, because the centre sends it elsewhere or the
    node is accused, and the clocks that matters of the corrected class do not have."""
    if event.type not in _TAKES_AWAY:
        return
    accused = case.registration.get("accused") or ()

    def is_over(one: Clock) -> bool:
        if event.type == types.CORRECTED:
            barred = one.clock not in WINDOWS and is_barred(accused, one.owner)
            return barred or not _applies_still(case, one.clock)
        return one.clock == names.REPORT and event.emitter == NATIONAL != one.owner

    _end_where(case, is_over, event.occurred_at)


def _end_where(
    case: Case, is_over: Callable[[Clock], bool], at: int, met_at: int | None = None
) -> None:
    case.clocks = [
        one._replace(met_at=met_at, ended_at=at) if one.runs and is_over(one) else one
        for one in case.clocks
    ]


def _applies_still(case: Case, clock: str) -> bool:
    if case.rule_set not in RULE_SETS:
        return True
    given = case.registration.get
    matter = (given("petition_class") or "", given("claim_path") or "")
    return clock == names.TIER or regulation(case.rule_set).applies(clock, *matter)


def _start(case: Case, event: Event, started: dict[str, Any]) -> None:
    name, at = started["clock"], event.occurred_at
    if name != names.SUPERVISION:  # one case may have several
        replaced = (name, _REPLACES.get(name))
        _end_where(case, lambda one: one.clock in replaced, at)
    owner = _owner(case, event, name)
    case.clocks.append(
        Clock(
            *(name, event.event_id, owner, started["started_at"], started["due_at"]),
            *(started["provisional"], started["calendar"]),
        )
    )


def _owner(case: Case, event: Event, name: str) -> str:
    if event.type == types.CORRECTED:
        earlier = case.latest(name)
        return earlier.owner if earlier else case.handled_by or event.emitter
    if name == names.DISPOSAL:
        return event.emitter
    to = event.body.get("to") if event.type in _OWNED_BY_RECEIVER else None
    return to or event.emitter


def _end(case: Case, event: Event, ends: Ends) -> None:
    at = event.occurred_at
    for place, one in enumerate(case.clocks):
        if not one.runs:
            continue
        if one.clock in ends.meets:
            done = one.owner == event.emitter or one.clock in _MET_BY_ANYBODY
            case.clocks[place] = one._replace(met_at=at if done else None, ended_at=at)
        elif one.clock in ends.cancels:
            case.clocks[place] = one._replace(ended_at=at)


def _end_supervision(case: Case, event: Event) -> None:
    if event.type not in (types.SUPERVISION_REPLIED, types.SUPERVISION_LIFTED):
        return
    met_at = event.occurred_at if event.type == types.SUPERVISION_REPLIED else None
    supervision = event.body.get("supervision_id")
    _end_where(case, lambda one: one.event_id == supervision, event.occurred_at, met_at)


def _end_evaluation(case: Case, event: Event) -> None:
    """End the window once both objects are evaluated, or expired."""
    if event.type not in (types.EVALUATED, types.EVALUATION_EXPIRED) or len(case.evaluations) < 2:
        return
    met_at = event.occurred_at if "expired" not in case.evaluations.values() else None
    _end_where(case, lambda one: one.clock == names.EVALUATION, event.occurred_at, met_at)
