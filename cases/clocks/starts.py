"""Compute the clocks that an event starts 起算 and when they are due, at the node that makes it."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from cases.calendar import due, paused, prolonged
from cases.case import Case, Fact, State
from cases.clocks import names
from cases.evaluable import is_evaluable
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
    """Return the clocks that `fact` starts, as the event carries them.

    `arrived_at` (micros) is when the case reached this node, for the clocks that start with
    arrival; None if it did not travel.
    """
    started = _STARTS.get(fact.type)
    if started is None:
        return []
    deadlines = started(_Start(case, fact, regulation(rule_set), arrived_at))
    return [deadline._asdict() for deadline in deadlines]


class _Start(NamedTuple):
    case: Case
    fact: Fact
    rules: Regulation
    arrived_at: int | None

    def clock(self, name: str, started_at: int, due_at: int | None = None) -> list[Deadline]:
        """Return the clock if the rule set has it for this case; an order may name its `due_at`."""
        given = self.case.registration.get
        if not self.rules.applies(name, given("petition_class") or "", given("claim_path") or ""):
            return []
        if due_at is not None:
            return [Deadline(name, started_at, due_at, False, "")]
        return [self.by_rule(name, started_at)]

    def by_rule(self, name: str, started_at: int) -> Deadline:
        rule = self.rules.clocks[name]
        return Deadline(name, started_at, *due(started_at, rule.length, rule.unit, rule.roll_over))

    def tier(self, name: str, started_at: int) -> list[Deadline]:
        """Return the share of one tier in the time of a matter that the centre registered."""
        rule = self.rules.clocks[names.TIER]
        return [Deadline(names.TIER, started_at, *due(started_at, rule.tiers[name], rule.unit))]

    def clocks(self, clocks: Iterable[str], started_at: int) -> list[Deadline]:
        return [started for name in clocks for started in self.clock(name, started_at)]


def _registered(start: _Start) -> list[Deadline]:
    received = start.fact.body.get("received_at") or start.fact.occurred_at
    tier = start.tier("national", received) if start.fact.emitter == NATIONAL else []
    return [*start.clock(names.DISPOSAL, received), *tier]


def _sent(start: _Start) -> list[Deadline]:
    """Return what the sender expects; `landed` starts the receiver's own clocks."""
    at, report_due_at = start.fact.occurred_at, start.fact.body.get("report_due_at")
    report = [] if report_due_at is None else start.clock(names.REPORT, at, report_due_at)
    return [*_at_arrival(start, at), *report]


def _at_arrival(start: _Start, at: int) -> list[Deadline]:
    tier = start.tier("province", at) if start.case.registered_by == NATIONAL else []
    return [*start.clocks((names.LANDING, names.ACCEPTANCE, names.OBJECTION), at), *tier]


def _landed(start: _Start) -> list[Deadline]:
    sent = start.case.dispatch
    at = start.arrived_at or (sent["at"] if sent else start.fact.occurred_at)
    refused = bool(sent and sent["objected"])  # an objection was made and refused
    return [one for one in _at_arrival(start, at) if not refused or one.clock != names.OBJECTION]


def _ruled(start: _Start) -> list[Deadline]:
    """If agreed, the sender disposes again (an assumption: its time begins again, too). If refused,
    the objector goes on, lands the case if it had not, and reports by the day of the order."""
    at, case = start.fact.occurred_at, start.case
    if start.fact.body.get("ruling") != "refused":
        return start.clock(names.DISPOSAL, at)
    landed = case.objection is not None and case.objection["state"] == State.LANDED
    return [
        *start.clocks([names.ACCEPTANCE] if landed else [names.LANDING, names.ACCEPTANCE], at),
        *_report_again(case),
    ]


def _report_again(case: Case) -> list[Deadline]:
    """Return the clock of the report, which the objection ended."""
    report = case.latest(names.REPORT)
    if report is None or case.dispatch is None or report.event_id != case.dispatch["event_id"]:
        return []
    named = (report.due_at, report.provisional, report.calendar)
    return [Deadline(names.REPORT, report.started_at, *named)]


def _accepted(start: _Start) -> list[Deadline]:
    simple = start.fact.body.get("procedure") == "simple"
    return start.clock(names.SIMPLE_REPLY if simple else names.REPLY, start.fact.occurred_at)


def _extended(start: _Start) -> list[Deadline]:
    ends = start.case.running(names.REPLY)
    if ends is None:
        return []
    return [
        Deadline(names.EXTENSION, ends.due_at, *prolonged(ends.due_at, start.fact.body["days"]))
    ]


def _served(start: _Start) -> list[Deadline]:
    document, at = start.fact.body.get("document", "decision"), start.fact.occurred_at
    if document == "decision":
        windows = [] if "recheck_decision" in start.case.documents else [names.REVIEW_REQUEST]
        windows += [names.EVALUATION] if is_evaluable(start.case) else []
        return start.clocks(windows, at)
    return start.clock(names.RECHECK_REQUEST, at) if document == "review_decision" else []


def _rechecked(start: _Start) -> list[Deadline]:
    """Move the end of the recheck by the hearing that paused it."""
    runs, body = start.case.running(names.RECHECK), start.fact.body
    begun, ended = body.get("hearing_from"), body.get("hearing_until")
    if runs is None or begun is None or ended is None:
        return []
    return [Deadline(names.RECHECK, runs.started_at, *paused(runs.due_at, begun, ended))]


def _corrected(start: _Start) -> list[Deadline]:
    """Give a matter that turns out to have time for the reply that time from its acceptance on."""
    case, given = start.case, start.case.registration.get
    accepted_at = case.milestones.get(State.ACCEPTED)
    is_timed = any(clock.clock in names.REPLIES and clock.runs for clock in case.clocks)
    if case.state != State.ACCEPTED or accepted_at is None or is_timed:
        return []
    told = {one["field"]: one["value"] for one in start.fact.body.get("corrections") or ()}
    matter = [told.get(name, given(name) or "") for name in ("petition_class", "claim_path")]
    if not start.rules.applies(names.REPLY, *matter):
        return []
    return [start.by_rule(names.REPLY, accepted_at)]


def _starts(name: str, due_at: str = "") -> Callable[[_Start], list[Deadline]]:
    """Return a function that starts one clock, due by the field `due_at` if it is given."""
    return lambda start: start.clock(name, start.fact.occurred_at, start.fact.body.get(due_at))


_STARTS: dict[str, Callable[[_Start], list[Deadline]]] = {
    types.REGISTERED: _registered,
    types.FORWARDED: _sent,
    types.ASSIGNED: _sent,
    types.LANDED: _landed,
    types.OBJECTION_RULED: _ruled,
    types.ACCEPTANCE_OVERRULED: _starts(names.ACCEPTANCE, "accept_by"),
    types.ACCEPTED: _accepted,
    types.EXTENDED: _extended,
    types.SERVED: _served,
    types.REVIEW_REQUESTED: _starts(names.REVIEW),
    types.RECHECK_REQUESTED: _starts(names.RECHECK),
    types.RECHECK_DECIDED: _rechecked,
    types.SUPERVISION_ISSUED: _starts(names.SUPERVISION, "answer_due_at"),
    types.CORRECTED: _corrected,
}
