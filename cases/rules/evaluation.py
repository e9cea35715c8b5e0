"""The rules of evaluation 评价, of the petition office and of the responsible unit separately."""

from cases.case import Case, Fact
from cases.clocks.names import EVALUATION
from cases.evaluable import OBJECTS, is_statutory
from cases.rules.identity import REPEAT
from cases.rules.model import ANSWERED, Rule, Violation
from cases.rules.responsibility import by_participant
from cases.vocabulary import event_types as types
from schemas.event import Event

EXPIRED = "expired"
_DISSATISFIED = "dissatisfied"


def _evaluable(case: Case, fact: Fact) -> Violation | None:
    """Repeats and court matters are not evaluated."""
    if case.finding == REPEAT:
        return Violation(
            "evaluation_first_only",
            f"case {case.case_id} is a repeat: only first ones are evaluated",
        )
    if is_statutory(case):
        return Violation(
            "evaluation_statutory",
            f"case {case.case_id} is before a court or goes another statutory way 法定途径: it is "
            "not evaluated",
        )
    return None


def _about_something(case: Case, fact: Fact) -> Violation | None:
    if fact.body.get("object") in OBJECTS:
        return None
    return Violation("evaluation_object", f"'object' is one of {', '.join(OBJECTS)}")


def _within_the_window(case: Case, fact: Fact) -> Violation | None:
    window = case.latest(EVALUATION)
    if window is None or fact.occurred_at < window.due_at:
        return None
    return Violation("evaluation_window", f"the time to evaluate case {case.case_id} has passed")


def _once(case: Case, fact: Fact) -> Violation | None:
    """An expiry does not prevent an evaluation that was given in time and arrives later."""
    about = str(fact.body.get("object"))
    if case.evaluations.get(about, EXPIRED) == EXPIRED:
        return None
    return Violation("already_evaluated", f"the {about} of case {case.case_id} was evaluated")


def _with_a_reason(case: Case, fact: Fact) -> Violation | None:
    body = fact.body
    if body.get("satisfaction") != _DISSATISFIED or str(body.get("reason") or "").strip():
        return None
    return Violation("dissatisfied_reason", "a dissatisfied evaluation needs a 'reason'")


def _window_over(case: Case, fact: Fact) -> Violation | None:
    window = case.latest(EVALUATION)
    if window is not None and fact.occurred_at >= window.due_at:
        return None
    return Violation(
        "evaluation_window", f"the time to evaluate case {case.case_id} has not passed"
    )


def _not_evaluated(case: Case, fact: Fact) -> Violation | None:
    about = str(fact.body.get("object"))
    if about not in case.evaluations:
        return None
    return Violation("already_evaluated", f"the {about} of case {case.case_id} was evaluated")


def _evaluate(case: Case, event: Event) -> None:
    about = event.body["object"]
    case.evaluations[about] = event.body.get("satisfaction", EXPIRED)
    case.evaluated_at[about] = event.occurred_at
    case.dissatisfactions.pop(about, None)
    if event.body.get("reason"):
        case.dissatisfactions[about] = event.body["reason"]


_EVALUATE = (
    by_participant,
    _about_something,
    _evaluable,
    _once,
    _within_the_window,
    _with_a_reason,
)
_EXPIRE = (by_participant, _about_something, _not_evaluated, _window_over)

RULES = {
    types.EVALUATED: Rule(ANSWERED, _EVALUATE, _evaluate),
    types.EVALUATION_EXPIRED: Rule(ANSWERED, _EXPIRE, _evaluate),
}
