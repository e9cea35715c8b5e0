"""Clocks 时限 D01–D16: which event starts, meets and ends which (DOMAIN §3).

`starting` is asked once, by the node that makes the event; what it computed travels in the event
and nobody computes it again. `run_clocks` belongs to the fold: it only reads what events say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from cases import event_types as types
from cases.accusation import is_barred
from cases.calendar import due, paused, prolonged
from cases.case import Case, Clock, State
from cases.evaluable import is_evaluable
from cases.nodes import NATIONAL
from cases.regulations import RULE_SETS, Regulation, regulation
from schemas.event import Event

_CLAIM = "claim"
_SIXTH_ITEM = "6"


class Deadline(NamedTuple):
    """A clock as an event carries it; instants in micros."""

    clock: str
    started_at: int
    due_at: int
    provisional: bool
    calendar: str


class Beginning(Protocol):
    """The fact that may start clocks, before it is an event."""

    @property
    def type(self) -> str: ...
    @property
    def emitter(self) -> str: ...
    @property
    def occurred_at(self) -> int: ...
    @property
    def body(self) -> dict[str, Any]: ...


def starting(
    case: Case, fact: Beginning, rule_set: str, arrived_at: int | None = None
) -> list[dict[str, Any]]:
    """The clocks that `fact` starts, as the event carries them.

    `arrived_at` (micros) is when the case reached this node, for the clocks that start with
    arrival; None if it did not travel.
    """
    start = _STARTS.get(fact.type)
    if start is None:
        return []
    found = start(_Start(case, fact, regulation(rule_set), arrived_at))
    return [deadline._asdict() for deadline in found]


class _Start(NamedTuple):
    case: Case
    fact: Beginning
    rules: Regulation
    arrived_at: int | None

    def clock(self, name: str, started_at: int, due_at: int | None = None) -> list[Deadline]:
        """The clock if the rule set has it for this case; `due_at` where an order names it."""
        given = self.case.registration.get
        if not self.rules.applies(name, given("petition_class") or "", given("claim_path") or ""):
            return []
        if due_at is not None:
            return [Deadline(name, started_at, due_at, False, "")]
        rule = self.rules.clocks[name]
        return [
            Deadline(name, started_at, *due(started_at, rule.length, rule.unit, rule.roll_over))
        ]

    def tier(self, name: str, started_at: int) -> list[Deadline]:
        """D01a: the share of one tier in the time of a matter that the centre registered."""
        rule = self.rules.clocks["D01a"]
        return [Deadline("D01a", started_at, *due(started_at, rule.tiers[name], rule.unit))]

    def clocks(self, names: Iterable[str], started_at: int) -> list[Deadline]:
        return [one for name in names for one in self.clock(name, started_at)]


def _registered(start: _Start) -> list[Deadline]:
    received = start.fact.body.get("received_at") or start.fact.occurred_at
    tier = start.tier("national", received) if start.fact.emitter == NATIONAL else []
    return [*start.clock("D01", received), *tier]


def _sent(start: _Start) -> list[Deadline]:
    """What the sender expects; the receiver's own clocks come with `landed`."""
    at, report_due_at = start.fact.occurred_at, start.fact.body.get("report_due_at")
    report = [] if report_due_at is None else start.clock("D12", at, report_due_at)
    return [*_at_arrival(start, at), *report]


def _at_arrival(start: _Start, at: int) -> list[Deadline]:
    tier = start.tier("province", at) if start.case.registered_by == NATIONAL else []
    return [*start.clocks(("D02", "D03", "D05"), at), *tier]


def _landed(start: _Start) -> list[Deadline]:
    sent = start.case.dispatch
    at = start.arrived_at or (sent["at"] if sent else start.fact.occurred_at)
    found = _at_arrival(start, at)
    if sent and sent["objected"]:
        return [one for one in found if one.clock != "D05"]  # an objection was made and refused
    return found


def _ruled(start: _Start) -> list[Deadline]:
    """Agreed: who sent it disposes anew (an assumption: its time begins anew, too). Refused: who
    objected goes on, lands if it had not, and reports by the day that the order names."""
    at, case = start.fact.occurred_at, start.case
    if start.fact.body.get("ruling") != "refused":
        return start.clock("D01", at)
    landed = case.objection is not None and case.objection["state"] == State.LANDED
    return [*start.clocks(["D03"] if landed else ["D02", "D03"], at), *_report_again(case)]


def _report_again(case: Case) -> list[Deadline]:
    """D12, which the objection ended."""
    report = case.latest("D12")
    if report is None or case.dispatch is None or report.event_id != case.dispatch["event_id"]:
        return []
    named = (report.due_at, report.provisional, report.calendar)
    return [Deadline("D12", report.started_at, *named)]


def _overruled(start: _Start) -> list[Deadline]:
    return start.clock("D03", start.fact.occurred_at, start.fact.body.get("accept_by"))


def _accepted(start: _Start) -> list[Deadline]:
    simple = start.fact.body.get("procedure") == "simple"
    return start.clock("D14" if simple else "D06", start.fact.occurred_at)


def _extended(start: _Start) -> list[Deadline]:
    ends = start.case.running("D06")
    if ends is None:
        return []
    return [Deadline("D07", ends.due_at, *prolonged(ends.due_at, start.fact.body["days"]))]


def _served(start: _Start) -> list[Deadline]:
    document, at = start.fact.body.get("document", "decision"), start.fact.occurred_at
    if document == "decision":
        names = [] if "recheck_decision" in start.case.documents else ["D08"]
        return start.clocks([*names, *(["D16"] if is_evaluable(start.case) else [])], at)
    return start.clock("D10", at) if document == "review_decision" else []


def _rechecked(start: _Start) -> list[Deadline]:
    """A hearing pauses D11: its end moves."""
    runs, body = start.case.running("D11"), start.fact.body
    begun, ended = body.get("hearing_from"), body.get("hearing_until")
    if runs is None or begun is None or ended is None:
        return []
    return [Deadline("D11", runs.started_at, *paused(runs.due_at, begun, ended))]


def _supervised(start: _Start) -> list[Deadline]:
    return start.clock("D13", start.fact.occurred_at, start.fact.body.get("answer_due_at"))


def _corrected(start: _Start) -> list[Deadline]:
    """A matter that turns out to have time for handling gets it from its acceptance on."""
    case, given = start.case, start.case.registration.get
    accepted_at = case.milestones.get(State.ACCEPTED)
    if case.state != State.ACCEPTED or accepted_at is None or _is_timed(case):
        return []
    told = {one["field"]: one["value"] for one in start.fact.body.get("corrections") or ()}
    matter = [told.get(name, given(name) or "") for name in ("petition_class", "claim_path")]
    if not start.rules.applies("D06", *matter):
        return []
    rule = start.rules.clocks["D06"]
    return [Deadline("D06", accepted_at, *due(accepted_at, rule.length, rule.unit, rule.roll_over))]


def _is_timed(case: Case) -> bool:
    """Whether time for the reply runs."""
    return any(one.clock in _REPLY and one.runs for one in case.clocks)


def _asked(name: str) -> Callable[[_Start], list[Deadline]]:
    return lambda start: start.clock(name, start.fact.occurred_at)


_STARTS: dict[str, Callable[[_Start], list[Deadline]]] = {
    types.REGISTERED: _registered,
    types.FORWARDED: _sent,
    types.ASSIGNED: _sent,
    types.LANDED: _landed,
    types.OBJECTION_RULED: _ruled,
    types.ACCEPTANCE_OVERRULED: _overruled,
    types.ACCEPTED: _accepted,
    types.EXTENDED: _extended,
    types.SERVED: _served,
    types.REVIEW_REQUESTED: _asked("D09"),
    types.RECHECK_REQUESTED: _asked("D11"),
    types.RECHECK_DECIDED: _rechecked,
    types.SUPERVISION_ISSUED: _supervised,
    types.CORRECTED: _corrected,
}


class _Ends(NamedTuple):
    """Clocks that an event meets (if its emitter owns them) and those it makes needless."""

    meets: frozenset[str] = frozenset()
    cancels: frozenset[str] = frozenset()
    # An event that brings its own clock and meets it ends after it starts.
    own: bool = False


_DISPOSAL = frozenset({"D01", "D01a"})
_ARRIVAL = frozenset({"D01a", "D02", "D03", "D05"})
_REPLY = frozenset({"D06", "D07", "D14"})
_WINDOWS = frozenset({"D08", "D10", "D16"})
_ALL = _DISPOSAL | _ARRIVAL | _REPLY | _WINDOWS | {"D09", "D11", "D12", "D13"}
_TAKEN_UP = _DISPOSAL | {"D02", "D03"}
_PASSED_ON = _Ends(_DISPOSAL | {"D02"}, frozenset({"D03", "D05"}))

_ENDS: dict[str, _Ends] = {
    types.FORWARDED: _PASSED_ON,
    types.ASSIGNED: _PASSED_ON,
    types.LANDED: _Ends(frozenset({"D02"}), own=True),
    types.OBJECTED: _Ends(frozenset({"D05"}), _ARRIVAL | {"D12"}),
    types.ACCEPTED: _Ends(_TAKEN_UP, frozenset({"D05"})),
    types.NOT_ACCEPTED: _Ends(_TAKEN_UP | {"D12"}, frozenset({"D05"})),
    types.NO_LONGER_ACCEPTED: _Ends(_TAKEN_UP | {"D12"}, frozenset({"D05"})),
    types.DIVERTED: _Ends(_TAKEN_UP | {"D12"}, _REPLY | {"D05"}),
    types.DECIDED: _Ends(_REPLY | {"D12"}),
    types.REVIEW_REQUESTED: _Ends(frozenset({"D08"})),
    types.REVIEW_DECIDED: _Ends(frozenset({"D09"})),
    types.RECHECK_REQUESTED: _Ends(frozenset({"D10"})),
    types.RECHECK_DECIDED: _Ends(frozenset({"D11"}), own=True),
    types.WITHDRAWN: _Ends(cancels=_ALL),
    types.MERGED: _Ends(cancels=_ALL),
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
    ends = _ENDS.get(event.type)
    _take_away(case, event)
    if ends is not None and not ends.own:
        _end(case, event, ends)
    for started in event.body.get("clocks") or ():
        _start(case, event, started)
    if ends is not None and ends.own:
        _end(case, event, ends)
    _end_supervision(case, event)
    _end_evaluation(case, event)


def _take_away(case: Case, event: Event) -> None:
    """End the duties of who loses the case: the centre sends it elsewhere, or it is accused; and
    the clocks that matters of the corrected class do not have."""
    accused = case.registration.get("accused") or ()

    def is_over(one: Clock) -> bool:
        if event.type == types.CORRECTED:
            barred = one.clock not in _WINDOWS and is_barred(accused, one.owner)
            return barred or not _applies_still(case, one.clock)
        return one.clock == "D12" and event.emitter == NATIONAL != one.owner

    if event.type in _TAKES_AWAY:
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


def _end(case: Case, event: Event, ends: _Ends) -> None:
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
