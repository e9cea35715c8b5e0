"""The rules of supervision 督查督办, beside the main line: 催办, 督办, 挂牌督办, 答复, 解除."""

from typing import Any

from cases.case import Case, Fact
from cases.nodes import NATIONAL
from cases.rules.model import ANY_REGISTERED, Effect, Rule, Violation
from cases.rules.responsibility import by_participant, not_to_the_accused
from cases.vocabulary import event_types as types
from schemas.event import Event


def _of_a_participant(case: Case, fact: Fact) -> Violation | None:
    to = fact.body.get("to")
    if to in case.participants:
        return None
    return Violation("not_a_participant", f"{to} has no part in case {case.case_id}")


def _own_units_or_by_the_centre(case: Case, fact: Fact) -> Violation | None:
    if fact.emitter == NATIONAL or fact.emitter == fact.body.get("to"):
        return None
    return Violation(
        "supervision_national",
        f"{fact.emitter} supervises its own units only; other nodes are supervised by the centre",
    )


def _issued(case: Case, fact: Fact) -> dict[str, Any] | None:
    return case.supervisions.get(str(fact.body.get("supervision_id")))


def _known(case: Case, fact: Fact) -> Violation | None:
    issued = _issued(case, fact)
    if issued is None:
        return Violation(
            "supervision_unknown",
            f"'supervision_id' names no supervision of case {case.case_id}: it is the event id "
            "of its supervision.issued",
        )
    if issued["lifted_at"] is not None:
        return Violation("supervision_lifted", "this supervision was lifted before")
    return None


def _by_the_supervised(case: Case, fact: Fact) -> Violation | None:
    issued = _issued(case, fact)
    if issued is not None and issued["to"] == fact.emitter:
        return None
    return Violation("not_responsible", f"the supervision is not of {fact.emitter}")


def _not_answered(case: Case, fact: Fact) -> Violation | None:
    issued = _issued(case, fact)
    if issued is not None and issued["replied_at"] is None:
        return None
    return Violation("supervision_answered", "this supervision was answered before")


def _by_the_issuer(case: Case, fact: Fact) -> Violation | None:
    issued = _issued(case, fact)
    if issued is not None and issued["by"] == fact.emitter:
        return None
    return Violation("not_responsible", f"the supervision was not issued by {fact.emitter}")


def _issue(case: Case, event: Event) -> None:
    due = [clock["due_at"] for clock in event.body.get("clocks") or ()]
    case.supervisions[event.event_id] = {
        "kind": event.body.get("kind"),
        "grounds": [*(event.body.get("grounds") or ())],
        "by": event.emitter,
        "to": event.body.get("to"),
        "issued_at": event.occurred_at,
        "due_at": due[0] if due else event.body.get("answer_due_at"),
        "replied_at": None,
        "lifted_at": None,
    }


def _records(name: str) -> Effect:
    def effect(case: Case, event: Event) -> None:
        key = event.body["supervision_id"]
        case.supervisions[key] = {**case.supervisions[key], name: event.occurred_at}

    return effect


_ISSUE = (by_participant, _own_units_or_by_the_centre, _of_a_participant, not_to_the_accused)
_REPLY = (_known, _by_the_supervised, _not_answered)

RULES = {
    types.SUPERVISION_ISSUED: Rule(ANY_REGISTERED, _ISSUE, _issue),
    types.SUPERVISION_REPLIED: Rule(ANY_REGISTERED, _REPLY, _records("replied_at")),
    types.SUPERVISION_LIFTED: Rule(ANY_REGISTERED, (_known, _by_the_issuer), _records("lifted_at")),
}
