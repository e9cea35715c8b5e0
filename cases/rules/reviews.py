"""The rules of review 复查 and of recheck 复核, which is final."""

from cases.case import Case, Fact, State
from cases.clocks.names import RECHECK_REQUEST, REVIEW_REQUEST
from cases.rules.model import Check, Effect, Rule, Violation, files
from cases.rules.responsibility import by_participant, not_to_the_accused
from cases.vocabulary import event_types as types
from schemas.event import Event


def _not_final(case: Case, fact: Fact) -> Violation | None:
    if "recheck_decision" not in case.documents:
        return None
    return Violation("final", f"the recheck of case {case.case_id} is final: no further review")


def _has_reviews(case: Case, fact: Fact) -> Violation | None:
    """Under XF2022 only claims of article 31(6) have reviews: their service opened the window."""
    if case.latest(REVIEW_REQUEST) is not None:
        return None
    return Violation(
        "no_review",
        f"case {case.case_id} has no review: its class has none, or its class is not set "
        "(set petition_class and claim_path by `correct` before the decision is served)",
    )


def _not_asked_before(case: Case, fact: Fact) -> Violation | None:
    """A decision has one review: the request ends its window."""
    if case.running(REVIEW_REQUEST) is not None:
        return None
    return Violation(
        "review_window", f"a review of the decision on case {case.case_id} was asked for before"
    )


def _within(clock: str, rule: str) -> Check:
    def check(case: Case, fact: Fact) -> Violation | None:
        window = case.running(clock)
        if window is None or fact.occurred_at < window.due_at:
            return None
        return Violation(
            rule, f"the time to ask for it ({clock}) has passed for case {case.case_id}"
        )

    return check


def _after_a_review(case: Case, fact: Fact) -> Violation | None:
    if "review_decision" in case.documents:
        return None
    return Violation("recheck_needs_review", f"case {case.case_id} has no review decision yet")


def _decides(document: str) -> Effect:
    def effect(case: Case, event: Event) -> None:
        case.documents[document] = event.event_id
        case.review_outcome = event.body.get("outcome")

    return effect


_REVIEWABLE = frozenset({State.SERVED, State.CLOSED})
_RECHECKABLE = frozenset({State.REVIEW_DECIDED, State.CLOSED})
_REVIEW = (
    by_participant,
    _not_final,
    _has_reviews,
    _not_asked_before,
    _within(REVIEW_REQUEST, "review_window"),
    not_to_the_accused,
)
_RECHECK = (
    by_participant,
    _not_final,
    _after_a_review,
    _within(RECHECK_REQUEST, "recheck_window"),
    not_to_the_accused,
)
_DECIDE = (by_participant, not_to_the_accused)

_REQUEST_REVIEW, _REQUEST_RECHECK = files("review_request"), files("recheck_request")
_DECIDE_REVIEW, _DECIDE_RECHECK = _decides("review_decision"), _decides("recheck_decision")
_REVIEW_ASKED = frozenset({State.REVIEW_REQUESTED})
_RECHECK_ASKED = frozenset({State.RECHECK_REQUESTED})

RULES = {
    types.REVIEW_REQUESTED: Rule(_REVIEWABLE, _REVIEW, _REQUEST_REVIEW, State.REVIEW_REQUESTED),
    types.REVIEW_DECIDED: Rule(_REVIEW_ASKED, _DECIDE, _DECIDE_REVIEW, State.REVIEW_DECIDED),
    types.RECHECK_REQUESTED: Rule(
        _RECHECKABLE, _RECHECK, _REQUEST_RECHECK, State.RECHECK_REQUESTED
    ),
    types.RECHECK_DECIDED: Rule(_RECHECK_ASKED, _DECIDE, _DECIDE_RECHECK, State.RECHECK_DECIDED),
}
