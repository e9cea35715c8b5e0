"""Review 复查 and recheck 复核, which is final."""

from __future__ import annotations

from cases.case import Case, State
from cases.fact import Fact
from cases.rules.model import Check, Rule, Violation
from cases.rules.responsibility import by_participant, not_to_the_accused
from cases.vocabulary import event_types as types
from schemas.event import Event


def _not_final(case: Case, fact: Fact) -> Violation | None:
    if "recheck_decision" not in case.documents:
        return None
    return Violation("final", f"the recheck of case {case.case_id} is final: no further review")


def _has_reviews(case: Case, fact: Fact) -> Violation | None:
    """Under XF2022 only claims of article 31(6) have them: their service started D08."""
    if case.latest("D08") is not None:
        return None
    return Violation(
        "no_review",
        f"case {case.case_id} has no review: its class has none, or its class is not set "
        "(set petition_class and claim_path by `correct` before the decision is served)",
    )


def _not_asked_before(case: Case, fact: Fact) -> Violation | None:
    """One review of one decision: its window ended when the first was asked for."""
    if case.running("D08") is not None:
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


def _request_review(case: Case, event: Event) -> None:
    case.documents["review_request"] = event.event_id


def _decide_review(case: Case, event: Event) -> None:
    case.documents["review_decision"] = event.event_id
    case.review_outcome = event.body.get("outcome")


def _request_recheck(case: Case, event: Event) -> None:
    case.documents["recheck_request"] = event.event_id


def _decide_recheck(case: Case, event: Event) -> None:
    case.documents["recheck_decision"] = event.event_id
    case.review_outcome = event.body.get("outcome")


_REVIEWABLE = frozenset({State.SERVED, State.CLOSED})
_RECHECKABLE = frozenset({State.REVIEW_DECIDED, State.CLOSED})
_REVIEW = (
    by_participant,
    _not_final,
    _has_reviews,
    _not_asked_before,
    _within("D08", "review_window"),
    not_to_the_accused,
)
_RECHECK = (
    by_participant,
    _not_final,
    _after_a_review,
    _within("D10", "recheck_window"),
    not_to_the_accused,
)
_DECIDE = (by_participant, not_to_the_accused)

RULES = {
    types.REVIEW_REQUESTED: Rule(_REVIEWABLE, _REVIEW, _request_review, State.REVIEW_REQUESTED),
    types.REVIEW_DECIDED: Rule(
        frozenset({State.REVIEW_REQUESTED}), _DECIDE, _decide_review, State.REVIEW_DECIDED
    ),
    types.RECHECK_REQUESTED: Rule(
        _RECHECKABLE, _RECHECK, _request_recheck, State.RECHECK_REQUESTED
    ),
    types.RECHECK_DECIDED: Rule(
        frozenset({State.RECHECK_REQUESTED}), _DECIDE, _decide_recheck, State.RECHECK_DECIDED
    ),
}
