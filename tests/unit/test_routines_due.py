"""The proposal for an overdue duty depends on what was issued about it before."""

from typing import Any

import pytest

from cases.clocks import names
from producers.routines.supervision_policy import Policy
from producers.routines.supervision_rules import MICROS_PER_DAY, Issued, Overdue, propose

POLICY = Policy.model_validate(
    {
        "escalation_days": {"urged": 10, "supervised": 20},
        "rule": [
            {"name": "late", "clocks": [names.REPLY], "overdue_days": 1, "kind": "urged"}
            | {"grounds": [1], "requirement": "请办结"}
        ],
    }
)
DUE, NOW = 100 * MICROS_PER_DAY, 150 * MICROS_PER_DAY
DUTY = Overdue("case", names.REPLY, "event", "370000", DUE)


def issued(days_ago: int, kind: str = "urged", **changed: Any) -> Issued:
    one = Issued(kind, [1], "000000", "370000", NOW - days_ago * MICROS_PER_DAY)
    return one._replace(**changed)


def kind_of(*about: Issued, policy: Policy = POLICY) -> str | None:
    found = propose(policy, policy.rule[0], DUTY, about, NOW)
    return found and found.kind


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ([], "urged"),
        ([issued(9)], None),
        ([issued(10)], "supervised"),
        ([issued(40), issued(19, "supervised")], None),
        ([issued(40), issued(20, "supervised")], "listed"),
        ([issued(45), issued(40, "supervised"), issued(30, "listed")], None),
        # Answered or lifted: from there people judge.
        ([issued(30, replied_at=NOW - 1)], None),
        ([issued(30, lifted_at=NOW - 1)], None),
        # By hand, to somebody else, on another ground, or about something before.
        ([issued(30, by="370000")], "urged"),
        ([issued(30, to="110000")], "urged"),
        ([issued(30, grounds=[3])], "urged"),
        ([issued(60, replied_at=NOW - 1)], "urged"),
        # Issued before the duty was due, and still open: not again, but it goes on.
        ([issued(60)], "supervised"),
    ],
)
def test_what_comes_next(about: list[Issued], kind: str | None) -> None:
    assert kind_of(*about) == kind


def test_without_patience_nothing_escalates() -> None:
    still = POLICY.model_copy(update={"escalation_days": POLICY.escalation_days.model_copy(
        update={"urged": None})})  # fmt: skip
    assert kind_of(issued(49), policy=still) is None


def test_a_proposal_says_why() -> None:
    found = propose(POLICY, POLICY.rule[0], DUTY, [], NOW)
    assert found is not None
    assert (found.why, found.rule, found.to) == ("overdue since 50 d", "late", "370000")
    again = propose(POLICY, POLICY.rule[0], DUTY, [issued(12)], NOW)
    assert again is not None
    assert again.why == "urged and unanswered since 12 d"
