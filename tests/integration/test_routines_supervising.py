"""Routine supervision on a real database: shown first, issued once, raised when unanswered."""

from collections.abc import Callable

import pytest
from support.routines import ago, all_events, registered
from support.supervising import POLICY, audited, issue_it, only, sent, try_it
from support.world import do, receive, rows

from cases.clocks import names as clocks
from cases.errors import Refusal
from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.settings import Settings
from producers.routines.supervision import issue


def test_a_dry_run_proposes_audits_and_issues_nothing(centre: Settings) -> None:
    late = sent(centre, 10)
    sent(centre, 0.1)
    found = try_it(centre)
    (one,) = found.proposals
    assert (one.case_id, one.to, one.rule, one.kind, one.clock) == (
        late, "370000", "not_landed", "urged", clocks.LANDING,
    )  # fmt: skip
    assert rows(centre, "select count(*) from case_supervision") == [(0,)]
    ((action, detail),) = rows(centre, "select action, detail from audit_log")
    assert action == "supervision.tried"
    assert (detail["proposed"], detail["by_rule"], detail["cases"]) == (
        1,
        {"not_landed": 1},
        [late],
    )
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
    assert [clock["clock"] for clock in body["clocks"]] == [clocks.SUPERVISION]
    assert audited(centre)[-1] == ("supervision.issued", case_id)
    written = "select right(topic, 6) from outbox where event_id = %s order by 1"
    topics = rows(centre, written, (event_id,))
    assert topics == [("000000",), ("370000",)]  # its own topic, and the province


def test_the_same_is_not_issued_again_while_it_is_open(centre: Settings) -> None:
    sent(centre, 10)
    try_it(centre)
    assert len(issue_it(centre)) == 1
    assert issue_it(centre) == []
    assert try_it(centre).proposals == []


def test_two_late_duties_of_one_ground_are_one_letter(centre: Settings) -> None:
    sent(centre, 20)
    late = rows(centre, "select clock from case_clock where ended_at is null and due_at < now()")
    assert {clock for (clock,) in late} >= {clocks.LANDING, clocks.ACCEPTANCE}
    assert [one.rule for one in try_it(centre).proposals] == ["not_landed"]
    issue_it(centre)
    assert try_it(centre).proposals == []


def test_an_unanswered_one_becomes_the_next_kind_and_a_listed_one_stays(centre: Settings) -> None:
    sent(centre, 10)
    policy = only("not_landed")
    try_it(centre, policy)
    days = (0, 14, 16, 45, 47, 400)
    kinds = [[one.proposal.kind for one in issue_it(centre, policy, later)] for later in days]
    assert kinds == [["urged"], [], ["supervised"], [], ["listed"], []]


def test_an_answered_or_lifted_one_is_left_to_people(
    centre: Settings, fresh_settings: Callable[..., Settings]
) -> None:
    answered, lifted = sent(centre, 10), sent(centre, 10)
    policy = only("not_landed")
    try_it(centre, policy)
    by_case = {one.proposal.case_id: one.event_id for one in issue_it(centre, policy)}
    do(centre, "lift_supervision", case_id=lifted, supervision_id=by_case[lifted])
    shandong = fresh_settings("370000")
    receive(shandong, *all_events(centre))
    given = {"supervision_id": by_case[answered], "answer": "正在办理(虚构)"}
    receive(centre, do(shandong, "reply_supervision", case_id=answered, **given).event)
    assert try_it(centre, policy, days_later=300).proposals == []


def test_a_supervision_issued_by_hand_counts(centre: Settings) -> None:
    case_id = sent(centre, 10)
    by_hand = {"kind": "supervised", "grounds": [3], "to": "370000", "requirement": "请接收"}
    do(centre, "supervise", case_id=case_id, **by_hand)
    assert try_it(centre).proposals == []


def test_an_assignment_without_a_day_for_its_report_is_found_by_its_age(centre: Settings) -> None:
    old = sent(centre, 100)
    sent(centre, 80)
    sent(centre, 100, "forward")
    sent(centre, 100, report_due_at=ago(-10))
    found = try_it(centre, only("assigned_without_result")).proposals
    assert [(one.case_id, one.clock, one.grounds) for one in found] == [(old, "assigned", (2,))]
    issue_it(centre, only("assigned_without_result"))
    assert try_it(centre, only("assigned_without_result")).proposals == []


def test_an_assignment_that_missed_its_day_is_on_ground_two(centre: Settings) -> None:
    case_id = sent(centre, 30, report_due_at=ago(2))
    (one,) = try_it(centre, only("no_report")).proposals
    assert (one.case_id, one.clock, one.grounds) == (case_id, clocks.REPORT, (2,))


def test_the_centre_does_not_supervise_itself(centre: Settings) -> None:
    case_id = registered(centre, 100).case_id
    do(centre, "accept", case_id=case_id, occurred_at=ago(90))
    assert try_it(centre).proposals == []


def test_the_policys_limit_leaves_the_rest_for_the_next_round_the_longest_overdue_first(
    centre: Settings,
) -> None:
    by_age = {days: sent(centre, days) for days in (10, 13, 16)}
    policy = only("not_landed", most_per_round=2)
    found = try_it(centre, policy)
    assert ([one.case_id for one in found.proposals], found.more) == (
        [by_age[16], by_age[13]],
        True,
    )
    issue_it(centre, policy)
    assert [one.proposal.case_id for one in issue_it(centre, policy)] == [by_age[10]]


def test_a_refused_case_is_audited_and_stops_no_other(centre: Settings) -> None:
    accused, other = sent(centre, 12), sent(centre, 10)
    try_it(centre)
    with connected(centre.dsn, "test") as connection:
        _, outcomes = issue(connection, open_office(centre), POLICY, "desk-1")
        _accuse(centre, accused, "370000")
        refused, issued = outcomes
    assert (refused.proposal.case_id, refused.rule) == (accused, "accusation")
    assert refused.event_id is None
    assert (issued.proposal.case_id, issued.error) == (other, None)
    assert ("supervision.refused", accused) in audited(centre)
    assert rows(centre, "select case_id from case_supervision") == [(other,)]


def test_who_is_accused_is_not_written_to_about_it(centre: Settings) -> None:
    _accuse(centre, sent(centre, 12), "370000")
    assert try_it(centre).proposals == []


def _accuse(settings: Settings, case_id: str, code: str) -> None:
    """A correction names the accused after the case was sent there."""
    named = [{"field": "accused", "value": code}]
    do(settings, "correct", case_id=case_id, reason="补充被检举单位", corrections=named)


def test_a_case_that_was_settled_or_supervised_after_the_look_is_not_written_to(
    centre: Settings,
) -> None:
    by_hand, landed = sent(centre, 12), sent(centre, 10)
    try_it(centre)
    with connected(centre.dsn, "test") as connection:
        _, outcomes = issue(connection, open_office(centre), POLICY, "desk-1")
        given = {"kind": "urged", "grounds": [3], "to": "370000", "requirement": "请接收"}
        do(centre, "supervise", case_id=by_hand, **given)
        do(centre, "withdraw", case_id=landed, reason="已解决")
        done = [*outcomes]
    assert [one.rule for one in done] == ["supervision_settled", "supervision_settled"]
    assert rows(centre, "select count(*) from case_supervision") == [(1,)]


def test_only_the_centre_supervises_by_routine(fresh_settings: Callable[..., Settings]) -> None:
    with pytest.raises(Refusal, match="runs at the centre 000000"):
        try_it(fresh_settings("370000"))
