"""The rules of first and repeat 初次、重复: only the centre sees every province and decides."""

from cases.case import Case, Fact
from cases.nodes import NATIONAL
from cases.rules.model import ANY_REGISTERED, Rule, Violation
from cases.vocabulary import event_types as types
from schemas.event import Event

FIRST, REPEAT = "first", "repeat"


def _by_the_centre(case: Case, fact: Fact) -> Violation | None:
    if fact.emitter == NATIONAL:
        return None
    return Violation(
        "identity_national", f"only the centre {NATIONAL} finds a case to be a first or a repeat"
    )


def _names_the_earlier(case: Case, fact: Fact) -> Violation | None:
    named = fact.body.get("repeat_of")
    if fact.body.get("finding") == FIRST:
        return None
    if named and named != case.case_id:
        return None
    return Violation("repeat_of", "a repeat names the earlier case in 'repeat_of'")


def _identify(case: Case, event: Event) -> None:
    case.finding = event.body.get("finding")
    case.repeat_of = event.body.get("repeat_of") if case.finding == REPEAT else None
    case.group = bool(event.body.get("group"))


RULES = {types.IDENTIFIED: Rule(ANY_REGISTERED, (_by_the_centre, _names_the_earlier), _identify)}
