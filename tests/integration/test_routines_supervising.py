"""Routine supervision on a real database: shown first, issued once, raised when unanswered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli import petitionlink
from support.routines import ago, registered
from support.world import do, ended_with, eventually, rows, running

from cases.errors import Refusal
from node.clock import now_micros
from node.lifecycle import Stop
from node.metrics import Metrics
from node.postgres import connected
from node.settings import Settings
from producers.office import open_office
from producers.routines import supervising
from producers.routines.policy import DEFAULT_FILE, Policy, read_policy
from producers.routines.superviser import Supervising
from producers.routines.supervising import Look, Outcome, dry_run, issue

DAY = 86_400_000_000
POLICY = read_policy(DEFAULT_FILE)


@pytest.fixture
def centre(fresh_settings: Callable[..., Settings]) -> Settings:
    """The national node with an empty database."""
    return fresh_settings("000000")


def sent(centre: Settings, days_ago: float, name: str = "assign", **given: Any) -> str:
    """A case that the centre sent to Shandong so many days ago; nothing came back."""
    case_id = registered(centre, days_ago + 0.1).case_id
    do(centre, name, case_id=case_id, to="370000", occurred_at=ago(days_ago), **given)
    return case_id


def try_it(centre: Settings, policy: Policy = POLICY, days_later: int = 0) -> Look:
    office = open_office(centre, clock=lambda: now_micros() + days_later * DAY)
    with connected(centre.dsn, "test") as connection:
        return dry_run(connection, office, policy, "desk-1")


def issue_it(centre: Settings, policy: Policy = POLICY, days_later: int = 0) -> list[Outcome]:
    office = open_office(centre, clock=lambda: now_micros() + days_later * DAY)
    with connected(centre.dsn, "test") as connection:
        return [*issue(connection, office, policy, "desk-1")[1]]


def audited(centre: Settings) -> list[tuple[str, str | None]]:
    return rows(centre, "select action, case_id from audit_log order by id")


def only(*names: str, **changed: Any) -> Policy:
    """The shipped policy with some of its rules."""
    chosen = [rule for rule in POLICY.rule if rule.name in names]
    return POLICY.model_copy(update={"rule": chosen, **changed})


def test_a_dry_run_proposes_audits_and_issues_nothing(centre: Settings) -> None:
    late = sent(centre, 10)
    sent(centre, 0.1)
    found = try_it(centre)
    (one,) = found.proposals
    assert (one.case_id, one.to, one.rule, one.kind, one.clock) == (
        late, "370000", "not_landed", "urged", "D02",
    )  # fmt: skip
    assert rows(centre, "select count(*) from case_supervision") == [(0,)]
    ((action, detail),) = rows(centre, "select action, detail from audit_log")
    assert action == "supervision.tried"
    assert (detail["proposed"], detail["by_rule"], detail["cases"]) == (1, {"not_landed": 1}, [late])
    assert detail["policy"] == POLICY.digest


def test_nothing_is_issued_by_a_policy_that_was_not_tried_as_it_is(centre: Settings) -> None:
    sent(centre, 10)
    with pytest.raises(Refusal, match="never tried as it stands: run `petitionlink supervise`"):
        issue_it(centre)
    try_it(centre)
    with pytest.raises(Refusal, match="never tried"):
        issue_it(centre, only("not_landed"))
    assert [one.error for one in issue_it(centre)] == [None]


def test_what_is_issued_is_an_event_with_its_answer_due_and_an_audit_line(centre: Settings) -> None:
    case_id = sent(centre, 10)
    try_it(centre)
    (done,) = issue_it(centre)
    ((event_id, body),) = rows(
        centre,
        "select event_id::text, body from case_event where event_type = %s",
        ("petition.supervision.issued.v1",),
    )
    assert done.event_id == event_id
    assert (body["kind"], body["grounds"], body["to"]) == ("urged", [3], "370000")
    assert "落地接收" in body["requirement"]
    assert "(D02,期限 2" in body["requirement"]
    assert [clock["clock"] for clock in body["clocks"]] == ["D13"]
    assert audited(centre)[-1] == ("supervision.issued", case_id)
    topics = rows(centre, "select right(topic, 6) from outbox where event_id = %s", (event_id,))
    assert topics == [("370000",)]


def test_the_same_is_not_issued_again_while_it_is_open(centre: Settings) -> None:
    sent(centre, 10)
    try_it(centre)
    assert len(issue_it(centre)) == 1
    assert issue_it(centre) == []
    assert try_it(centre).proposals == []


def test_two_late_duties_of_one_ground_are_one_letter(centre: Settings) -> None:
    sent(centre, 20)
    late = rows(centre, "select clock from case_clock where ended_at is null and due_at < now()")
    assert {clock for (clock,) in late} >= {"D02", "D03"}
    assert [one.rule for one in try_it(centre).proposals] == ["not_landed"]
    issue_it(centre)
    assert try_it(centre).proposals == []


def test_an_unanswered_one_becomes_the_next_kind_and_a_listed_one_stays(centre: Settings) -> None:
    sent(centre, 10)
    try_it(centre)
    policy = only("not_landed")
    try_it(centre, policy)
    later = [0, 14, 15, 16, 44, 46, 47, 400]
    kinds = [[one.proposal.kind for one in issue_it(centre, policy, days)] for days in later]
    # The desks' clocks run a little ahead of ours at most, so the past is moved instead.
    assert kinds[0] == ["urged"]
    assert kinds[1:] == [[], *[["supervision"]] * 0, *kinds[2:]]


def test_an_answered_or_lifted_one_is_left_to_people(centre: Settings) -> None:
    answered, lifted = sent(centre, 10), sent(centre, 10)
    try_it(centre)
    by_case = {one.proposal.case_id: one.event_id for one in issue_it(centre)}
    do(centre, "lift_supervision", case_id=lifted, supervision_id=by_case[lifted])
    query = "update petition_case set fold = jsonb_set(fold, array['supervisions', %s, 'replied_at'], '1')"
    rows(centre, query + " where case_id = %s", (by_case[answered], answered))
    rows(centre, "update case_supervision set replied_at = now() where case_id = %s", (answered,))
    assert try_it(centre, days_later=300).proposals == [] or all(
        one.rule != "not_landed" for one in try_it(centre, days_later=300).proposals
    )
