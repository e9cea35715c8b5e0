"""How clocks run 计时 in the fold: started, met, replaced and ended by what events say."""

from __future__ import annotations

from typing import Any, NamedTuple

from cases.accusation import is_barred
from cases.case import Case, Clock, State
from cases.clocks.groups import ALL, ARRIVAL, DISPOSAL, REPLY, WINDOWS
from cases.nodes import NATIONAL
from cases.regulations import RULE_SETS, regulation
from cases.vocabulary import event_types as types
from schemas.event import Event


class Ends(NamedTuple):
    """Clocks that an event meets (if its emitter owns them) and those it makes needless."""

    meets: frozenset[str] = frozenset()
    cancels: frozenset[str] = frozenset()
    # An event that brings its own clock and meets it ends after it starts.
    own: bool = False


_TAKEN_UP = DISPOSAL | {"D02", "D03"}
_PASSED_ON = Ends(DISPOSAL | {"D02"}, frozenset({"D03", "D05"}))

ENDS: dict[str, Ends] = {
    types.FORWARDED: _PASSED_ON,
    types.ASSIGNED: _PASSED_ON,
    types.LANDED: Ends(frozenset({"D02"}), own=True),
    types.OBJECTED: Ends(frozenset({"D05"}), ARRIVAL | {"D12"}),
    types.ACCEPTED: Ends(_TAKEN_UP, frozenset({"D05"})),
    types.NOT_ACCEPTED: Ends(_TAKEN_UP | {"D12"}, frozenset({"D05"})),
    types.NO_LONGER_ACCEPTED: Ends(_TAKEN_UP | {"D12"}, frozenset({"D05"})),
    types.DIVERTED: Ends(_TAKEN_UP | {"D12"}, REPLY | {"D05"}),
    types.DECIDED: Ends(REPLY | {"D12"}),
    types.REVIEW_REQUESTED: Ends(frozenset({"D08"})),
    types.REVIEW_DECIDED: Ends(frozenset({"D09"})),
    types.RECHECK_REQUESTED: Ends(frozenset({"D10"})),
    types.RECHECK_DECIDED: Ends(frozenset({"D11"}), own=True),
    types.WITHDRAWN: Ends(cancels=ALL),
    types.MERGED: Ends(cancels=ALL),
}

# These are met by whoever does it, not by their owner alone: the centre may dispose of a matter for
# the office, D08 and D10 are the petitioner's rights, the next higher body decides a review.
_MET_BY_ANYBODY = frozenset({"D01", "D08", "D09", "D10", "D11", "D12"})
# A clock that starts ends another: the extension takes the place of the time it extends.
_REPLACES = {"D07": "D06"}
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
    """A correction made beside the event that ended a clock must not start it again."""
    return case.running(name) is not None or (name == "D06" and case.state == State.ACCEPTED)


def _take_away(case: Case, event: Event) -> None:
    """End the duties of who loses the case: the centre sends it elsewhere, or it is accused; and
    the clocks that matters of the corrected class do not have."""
    if event.type not in _TAKES_AWAY:
        return
    accused = case.registration.get("accused") or ()

    def is_over(one: Clock) -> bool:
        if event.type == types.CORRECTED:
            barred = one.clock not in WINDOWS and is_barred(accused, one.owner)
            return barred or not _applies_still(case, one.clock)
        return one.clock == "D12" and event.emitter == NATIONAL != one.owner

    case.clocks = [
        one._replace(ended_at=event.occurred_at) if one.runs and is_over(one) else one
        for one in case.clocks
    ]


def _applies_still(case: Case, clock: str) -> bool:
    if case.rule_set not in RULE_SETS:
        return True
    given = case.registration.get
    matter = (given("petition_class") or "", given("claim_path") or "")
    return clock == "D01a" or regulation(case.rule_set).applies(clock, *matter)


def _start(case: Case, event: Event, started: dict[str, Any]) -> None:
    name, at = started["clock"], event.occurred_at
    replaced = {name, _REPLACES.get(name)} - ({"D13"} if name == "D13" else set())
    case.clocks = [
        one._replace(ended_at=at) if one.runs and one.clock in replaced else one
        for one in case.clocks
    ]
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
    if name == "D01":
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
    case.clocks = [
        one._replace(met_at=met_at, ended_at=event.occurred_at)
        if one.runs and one.event_id == event.body.get("supervision_id")
        else one
        for one in case.clocks
    ]


def _end_evaluation(case: Case, event: Event) -> None:
    """D16 ends when both objects are evaluated, or expired."""
    if event.type not in (types.EVALUATED, types.EVALUATION_EXPIRED) or len(case.evaluations) < 2:
        return
    met_at = event.occurred_at if "expired" not in case.evaluations.values() else None
    case.clocks = [
        one._replace(met_at=met_at, ended_at=event.occurred_at)
        if one.runs and one.clock == "D16"
        else one
        for one in case.clocks
    ]
