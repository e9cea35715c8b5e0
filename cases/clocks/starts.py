"""Which clocks an event starts 起算, and when they are due; asked by the node that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from cases.calendar import due, paused, prolonged
from cases.case import Case, State
from cases.clocks.groups import REPLY
from cases.evaluable import is_evaluable
from cases.fact import Fact
from cases.nodes import NATIONAL
from cases.regulations import Regulation, regulation
from cases.vocabulary import event_types as types


class Deadline(NamedTuple):
    """A clock as an event carries it; instants in micros."""

    clock: str
    started_at: int
    due_at: int
    provisional: bool
    calendar: str


def starting(
    case: Case, fact: Fact, rule_set: str, arrived_at: int | None = None
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
    fact: Fact
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
    return any(one.clock in REPLY and one.runs for one in case.clocks)


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
