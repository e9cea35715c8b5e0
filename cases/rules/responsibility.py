"""Check who may act 责任主体: exactly one node is responsible for a case, or visibly nobody is."""

from cases.accusation import is_barred
from cases.case import Case, Fact
from cases.nodes import NATIONAL, NODES
from cases.rules.model import Violation
from schemas.event import Event


def by_handler(case: Case, fact: Fact) -> Violation | None:
    """Only the responsible node may act."""
    if fact.emitter == case.handled_by:
        return None
    holder = case.handled_by or "nobody"
    return Violation(
        "not_responsible", f"case {case.case_id} is handled by {holder}, not by {fact.emitter}"
    )


def by_handler_or_centre(case: Case, fact: Fact) -> Violation | None:
    """Only the responsible node or the centre may act."""
    return None if fact.emitter == NATIONAL else by_handler(case, fact)


def by_participant(case: Case, fact: Fact) -> Violation | None:
    """Only a participant of the case or the centre may act."""
    if fact.emitter == NATIONAL or fact.emitter in case.participants:
        return None
    return Violation("not_a_participant", f"{fact.emitter} has no part in case {case.case_id}")


def to_a_known_node(case: Case, fact: Fact) -> Violation | None:
    """`to` must be one of the 33 nodes."""
    to = fact.body.get("to")
    if to in NODES:
        return None
    return Violation("unknown_node", f"'to' is {to!r}, which is no node: use a six-digit code")


def to_another_node(case: Case, fact: Fact) -> Violation | None:
    """`to` must be a node, and not the one that has the case."""
    if fact.body.get("to") == case.handled_by:
        return Violation("same_node", f"case {case.case_id} is already with {case.handled_by}")
    return to_a_known_node(case, fact)


def not_to_the_accused(case: Case, fact: Fact) -> Violation | None:
    """Accusation material never reaches the accused or their subordinates 检举控告."""
    accused = case.registration.get("accused")
    if not accused:
        return None
    for name in ("to", "unit", "competent", "reviewer"):
        target = str(fact.body.get(name) or "")
        if target and is_barred(accused, target):
            return Violation(
                "accusation",
                f"{name!r} {target!r} is accused in case {case.case_id} or stands under the "
                "accused: send it to another body that is competent",
            )
    return None


def by_nobody_accused(case: Case, fact: Fact) -> Violation | None:
    """The accused must not act in the matter 回避; the registration has its own check.

    They may still accuse others: if two nodes accuse each other at once, both are barred whichever
    event comes first, so that no event withheld from one is owed to it later.
    """
    accused = case.registration.get("accused")
    if not accused or not is_barred(accused, fact.emitter):
        return None
    corrections = fact.body.get("corrections") or ()
    if corrections and all(one["field"] == "accused" for one in corrections):
        return None
    return Violation(
        "accusation", f"{fact.emitter} is accused in case {case.case_id} and must not act in it"
    )


def take_part(case: Case, node: str) -> None:
    """Make `node` one of the receivers of the case's events."""
    if node not in case.participants:
        case.participants.append(node)


def release(case: Case, event: Event) -> None:
    """Leave the case without a responsible node."""
    case.handled_by = None
