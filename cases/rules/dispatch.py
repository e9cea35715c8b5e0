"""The rules of dispatch to a handler: 转送, 交办, 抄送, 落地接收, 异议, 异议裁定."""

from cases.case import Case, Fact, State
from cases.clocks.names import OBJECTION
from cases.regulations import RULE_SETS, regulation
from cases.rules.model import LIVING, NOT_YET_ACCEPTED, UNDER_WAY, Rule, Violation, no_effect
from cases.rules.responsibility import (
    by_handler,
    by_handler_or_centre,
    by_participant,
    not_to_the_accused,
    take_part,
    to_a_known_node,
    to_another_node,
)
from cases.vocabulary import event_types as types
from schemas.event import Event

AGREED = "agreed"


def _objections_are_known(case: Case, fact: Fact) -> Violation | None:
    if case.rule_set not in RULE_SETS:
        return None  # a later release, whose rules the emitter knew
    rules = regulation(case.rule_set)
    if OBJECTION in rules.clocks:
        return None
    return Violation(
        "objection_not_known",
        f"case {case.case_id} lives under {rules.chinese}, which knows no objection",
    )


def _was_dispatched_and_not_objected(case: Case, fact: Fact) -> Violation | None:
    if case.dispatch is None:
        return Violation("not_dispatched", f"nobody sent case {case.case_id} to {fact.emitter}")
    if case.dispatch["objected"]:
        return Violation(
            "objection_once", f"the objection to case {case.case_id} was refused: handle it"
        )
    return None


def _back_to_the_sender(case: Case, fact: Fact) -> Violation | None:
    sender = case.dispatch and case.dispatch["by"]
    if fact.body.get("to") == sender:
        return None
    return Violation("not_the_sender", f"an objection goes back to the sender, {sender}")


def _within_objection_window(case: Case, fact: Fact) -> Violation | None:
    window = case.running(OBJECTION)
    if window is None or fact.occurred_at < window.due_at:
        return None
    return Violation("objection_window", f"the time to object to case {case.case_id} has passed")


def _to_the_objector(case: Case, fact: Fact) -> Violation | None:
    objector = case.objection and case.objection["by"]
    if fact.body.get("to") == objector:
        return None
    return Violation("not_the_objector", f"the ruling goes to the objector, {objector}")


def _hand_over(case: Case, event: Event) -> None:
    to = event.body["to"]
    case.dispatch = {
        "event_id": event.event_id,
        "by": event.emitter,
        "to": to,
        "at": event.occurred_at,
        "objected": False,
    }
    case.objection = None
    case.handled_by = to
    take_part(case, to)


def _copy(case: Case, event: Event) -> None:
    take_part(case, event.body["to"])


def _object(case: Case, event: Event) -> None:
    case.objection = {"event_id": event.event_id, "by": event.emitter, "state": case.state}
    case.handled_by = event.body["to"]


def _rule(case: Case, event: Event) -> None:
    """If agreed, the sender has the case and dispatches it again; else the objector has it."""
    objection, case.objection = case.objection, None
    if objection is None or case.dispatch is None:
        return
    if event.body.get("ruling") == AGREED:
        case.dispatch = None
        case.enter(State.RETURNED, event.occurred_at)
    else:
        case.dispatch = {**case.dispatch, "objected": True}
        case.handled_by = objection["by"]
        case.enter(objection["state"], event.occurred_at)


_HAND_OVER = (by_handler_or_centre, to_another_node, not_to_the_accused)
_COPY = (by_participant, to_a_known_node, not_to_the_accused)
_OBJECT = (
    by_handler,
    _objections_are_known,
    _was_dispatched_and_not_objected,
    _back_to_the_sender,
    _within_objection_window,
)

RULES = {
    types.FORWARDED: Rule(NOT_YET_ACCEPTED, _HAND_OVER, _hand_over, State.FORWARDED),
    types.ASSIGNED: Rule(NOT_YET_ACCEPTED, _HAND_OVER, _hand_over, State.ASSIGNED),
    types.COPIED: Rule(LIVING, _COPY, _copy),
    types.LANDED: Rule(UNDER_WAY, (by_handler, not_to_the_accused), no_effect, State.LANDED),
    types.OBJECTED: Rule(UNDER_WAY | {State.LANDED}, _OBJECT, _object, State.OBJECTED),
    types.OBJECTION_RULED: Rule(frozenset({State.OBJECTED}), (by_handler, _to_the_objector), _rule),
}
