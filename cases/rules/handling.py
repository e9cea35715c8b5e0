"""The rules of handling 办理: 进展, 延期, 处理意见, 送达, 办结."""

from cases.case import Case, Fact, State
from cases.clocks.names import REPLY
from cases.rules.model import LIVING, Rule, Violation, no_effect
from cases.rules.responsibility import by_handler, by_participant, not_to_the_accused
from cases.vocabulary import event_types as types
from schemas.event import Event

DECISION = "decision"
# After these outcomes of a review or recheck the unit decides again 责令重新处理.
_DECIDED_AGAIN = frozenset({"revoked", "remanded"})
_LIMIT_DAYS = 30
_OF_REVIEWS = ("review_decision", "recheck_decision")
_REVIEWED = frozenset({State.REVIEW_DECIDED, State.RECHECK_DECIDED})


def _once(case: Case, fact: Fact) -> Violation | None:
    if not case.extended:
        return None
    return Violation(
        "extension_once", f"case {case.case_id} was extended before: once is the limit"
    )


def _before_the_end(case: Case, fact: Fact) -> Violation | None:
    running = case.running(REPLY)
    if running is None:
        return Violation(
            "extension_no_clock", f"no time for handling ({REPLY}) runs for case {case.case_id}"
        )
    if fact.occurred_at >= running.due_at:
        return Violation(
            "extension_late", f"{REPLY} of case {case.case_id} has ended: too late to extend"
        )
    return None


def _within_the_limit(case: Case, fact: Fact) -> Violation | None:
    if 0 < int(fact.body.get("days") or 0) <= _LIMIT_DAYS:
        return None
    return Violation("extension_limit", f"'days' is at most {_LIMIT_DAYS}")


def _decided_again_only_if_so_ruled(case: Case, fact: Fact) -> Violation | None:
    if case.state in _REVIEWED and case.review_outcome not in _DECIDED_AGAIN:
        return Violation(
            "decided", f"the decision on case {case.case_id} stands: {case.review_outcome}"
        )
    return None


def _served_by_its_maker(case: Case, fact: Fact) -> Violation | None:
    if fact.body.get("document", DECISION) != DECISION:
        return by_participant(case, fact)
    return by_handler(case, fact)


def _there_to_serve(case: Case, fact: Fact) -> Violation | None:
    document = fact.body.get("document", DECISION)
    if document == DECISION and case.state != State.DECIDED:
        return Violation(
            "wrong_state", f"case {case.case_id} is {case.state}, this needs it {State.DECIDED}"
        )
    if document not in _OF_REVIEWS:
        return None
    if document not in case.documents:
        return Violation("nothing_to_serve", f"case {case.case_id} has no {document} to serve")
    if document in case.served:
        return Violation(
            "nothing_to_serve",
            f"the {document} of case {case.case_id} was served before: a second service would "
            "begin the petitioner's time again",
        )
    return None


def _nothing_ordered(case: Case, fact: Fact) -> Violation | None:
    """A case is not closed while a review orders a new decision 责令重新处理."""
    if case.state in _REVIEWED and case.review_outcome in _DECIDED_AGAIN:
        return Violation(
            "decide_anew",
            f"the decision on case {case.case_id} was {case.review_outcome}: decide again first",
        )
    return None


def _extend(case: Case, event: Event) -> None:
    case.extended = True


def _decide(case: Case, event: Event) -> None:
    """A new decision gets its own service and review; a recheck stays final."""
    for document in ("review_request", "review_decision", "recheck_request"):
        case.documents.pop(document, None)
    for document in (DECISION, "review_decision"):
        case.served.pop(document, None)
    case.review_outcome = None
    case.outcome = event.body.get("outcome")
    case.documents[DECISION] = event.event_id


def _serve(case: Case, event: Event) -> None:
    document = event.body.get("document", DECISION)
    case.served[document] = event.occurred_at
    if document == DECISION:
        case.enter(State.SERVED, event.occurred_at)


_EXTEND = (by_handler, _once, _before_the_end, _within_the_limit)
_DECIDE = (by_handler, _decided_again_only_if_so_ruled, not_to_the_accused)

RULES = {
    types.PROGRESSED: Rule(LIVING, (by_handler, not_to_the_accused), no_effect),
    types.EXTENDED: Rule(frozenset({State.ACCEPTED}), _EXTEND, _extend),
    types.DECIDED: Rule(_REVIEWED | {State.ACCEPTED}, _DECIDE, _decide, State.DECIDED),
    types.SERVED: Rule(LIVING, (_served_by_its_maker, _there_to_serve), _serve),
    types.CLOSED: Rule(
        _REVIEWED | {State.SERVED}, (by_handler, _nothing_ordered), no_effect, State.CLOSED
    ),
}
