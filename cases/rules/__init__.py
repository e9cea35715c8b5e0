"""The rules 规则 define which event is legal in which state, by whom, and its effect on the case.

One table serves both sides: it refuses a command before an event exists, and by it the fold marks
an event as a conflict (docs/contract.md §3). Each module holds the rows of one part of a case's
life, in the order of that life. The source is docs/domain.md §4.
"""

from cases.case import Case, Fact, State
from cases.clocks import run_clocks
from cases.rules import (
    acceptance,
    dispatch,
    evaluation,
    handling,
    identity,
    registration,
    reviews,
    supervision,
)
from cases.rules.model import Rule, Violation
from cases.rules.responsibility import by_nobody_accused
from schemas.event import Event

__all__ = ["RULES", "Fact", "Rule", "Violation", "take_effect", "violation"]

RULES: dict[str, Rule] = {
    **registration.RULES,
    **identity.RULES,
    **dispatch.RULES,
    **acceptance.RULES,
    **handling.RULES,
    **reviews.RULES,
    **supervision.RULES,
    **evaluation.RULES,
}


def violation(case: Case, fact: Fact) -> Violation | None:
    """Return why `fact` is not legal for `case`, or None. Types outside the table are legal."""
    rule = RULES.get(fact.type)
    if rule is None:
        return None
    if case.state not in rule.states:
        return _wrong_state(case, rule)
    for check in (by_nobody_accused, *rule.checks):
        violated = check(case, fact)
        if violated is not None:
            return violated
    return None


def take_effect(case: Case, event: Event) -> None:
    """Change `case` by a legal event; a type outside the table changes nothing."""
    rule = RULES.get(event.type)
    if rule is None:
        return
    rule.effect(case, event)
    if rule.next_state is not None:
        case.enter(rule.next_state, event.occurred_at)
    run_clocks(case, event)


def _wrong_state(case: Case, rule: Rule) -> Violation:
    if case.state == State.UNKNOWN:
        return Violation(
            "not_registered",
            f"case {case.case_id} is unknown to this node: it was not registered here, and nothing "
            "of it has arrived",
        )
    if rule is RULES[registration.TYPE]:
        return Violation("already_registered", f"case {case.case_id} is already registered")
    allowed = " or ".join(sorted(rule.states))
    return Violation("wrong_state", f"case {case.case_id} is {case.state}, this needs it {allowed}")
