"""The rules of acceptance: 受理, 不予受理, 不再受理, 应受理未受理的纠正, 导入法定途径."""

from cases.case import Case, Fact, State
from cases.nodes import NATIONAL
from cases.rules.model import HELD, REFUSED, Rule, Violation, files
from cases.rules.responsibility import (
    by_handler,
    not_to_the_accused,
    release,
    take_part,
    to_a_known_node,
)
from cases.vocabulary import event_types as types
from schemas.event import Event


def _names_the_recheck(case: Case, fact: Fact) -> Violation | None:
    """Only a recheck that ended the matter makes it one that is no longer accepted."""
    if str(fact.body.get("recheck") or "").strip():
        return None
    return Violation("recheck_named", "'recheck' must name the recheck that ended the matter")


def _by_the_centre(case: Case, fact: Fact) -> Violation | None:
    if fact.emitter == NATIONAL:
        return None
    return Violation("overrule_national", f"only the centre {NATIONAL} overrules a non-acceptance")


def _accept(case: Case, event: Event) -> None:
    case.extended = False


def _overrule(case: Case, event: Event) -> None:
    case.handled_by = event.body["to"]
    take_part(case, event.body["to"])


_refuse = files("refusal")
_BY_HANDLER = (by_handler, not_to_the_accused)
_OVERRULE = (_by_the_centre, to_a_known_node, not_to_the_accused)
# A case that the centre found to be acceptable cannot be refused again.
_ACCEPTABLE = HELD | {State.ACCEPTANCE_OVERRULED}

RULES = {
    types.ACCEPTED: Rule(_ACCEPTABLE, _BY_HANDLER, _accept, State.ACCEPTED),
    types.NOT_ACCEPTED: Rule(HELD, (by_handler,), _refuse, State.NOT_ACCEPTED),
    types.NO_LONGER_ACCEPTED: Rule(
        HELD, (by_handler, _names_the_recheck), _refuse, State.NO_LONGER_ACCEPTED
    ),
    types.ACCEPTANCE_OVERRULED: Rule(REFUSED, _OVERRULE, _overrule, State.ACCEPTANCE_OVERRULED),
    types.DIVERTED: Rule(HELD | {State.ACCEPTED}, _BY_HANDLER, release, State.DIVERTED),
}
