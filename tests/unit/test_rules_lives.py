"""Whole lives 全过程: the ways that a case can take beside the main line."""

import pytest
from support.story import BEIJING, CENTRE, CORPS, REASONS, SHANDONG, Story

from cases.case import State
from cases.clocks import names

OPINION = {"outcome": "supported", "opinion": "意见"}
ORDER = {"kind": "supervised", "grounds": [2], "requirement": "请按期反馈"}
RULE = {**REASONS, "ruling": "agreed"}
REFUSE = {**REASONS, "article": "第三十一条"}


@pytest.mark.parametrize("rule_set", ["XF2005", "XF2022"])
def test_the_main_line_ends_final_and_evaluated(rule_set: str) -> None:
    story = Story(rule_set).to("recheck_decided")
    story.do(SHANDONG, "serve", document="recheck_decision")
    story.do(SHANDONG, "close")
    for about in ("office", "unit"):
        story.do(BEIJING, "evaluate", object=about, satisfaction="satisfied")
    case = story.case
    assert (case.state, case.handled_by, case.conflicts) == (State.CLOSED, SHANDONG, [])
    assert case.evaluations == {"office": "satisfied", "unit": "satisfied"}
    # D10 is the window of the review, whose service nobody noted here.
    assert story.running() == []


def test_an_objection_that_is_agreed_to_returns_the_case_to_the_sender_who_sends_it_on() -> None:
    story = Story().to("landed")
    assert story.do(SHANDONG, "object", **REASONS).handled_by == CENTRE
    case = story.do(CENTRE, "rule_objection", **RULE)
    assert (case.state, case.handled_by, case.dispatch) == (State.RETURNED, CENTRE, None)
    case = story.do(CENTRE, "assign", to=CORPS)
    assert (case.state, case.handled_by) == (State.ASSIGNED, CORPS)


def test_an_objection_that_is_refused_leaves_the_case_where_it_was() -> None:
    story = Story().to("landed")
    story.do(SHANDONG, "object", **REASONS)
    case = story.do(CENTRE, "rule_objection", **{**RULE, "ruling": "refused"})
    assert (case.state, case.handled_by) == (State.LANDED, SHANDONG)
    assert story.do(SHANDONG, "accept").state == State.ACCEPTED


@pytest.mark.parametrize(
    ("refusal", "given"),
    [("not_accept", REFUSE), ("no_longer_accept", {**REASONS, "recheck": "复核〔2026〕1号"})],
)
def test_a_refusal_that_the_centre_overrules_must_be_accepted(
    refusal: str, given: dict[str, str]
) -> None:
    story = Story().to("landed")
    assert story.do(SHANDONG, refusal, **given).state == refusal.replace("accept", "accepted")
    case = story.do(CENTRE, "overrule", **REASONS, to=SHANDONG)
    assert (case.state, case.handled_by) == (State.ACCEPTANCE_OVERRULED, SHANDONG)
    assert story.do(SHANDONG, "accept").state == State.ACCEPTED


@pytest.mark.parametrize(
    ("command", "node", "given", "state"),
    [
        (
            *("divert", SHANDONG),
            {**REASONS, "kind": "led_in", "pathway": "litigation", "competent": "某某法院"},
            State.DIVERTED,
        ),
        ("withdraw", BEIJING, {}, State.WITHDRAWN),
        ("merge", CENTRE, {"into": "110000-20260101-AAAAAAAA"}, State.MERGED),
    ],
)
def test_in_these_nobody_is_responsible_and_no_duty_runs(
    command: str, node: str, given: dict[str, str], state: str
) -> None:
    story = Story().to("accepted")
    case = story.do(node, command, **given)
    assert (case.state, case.handled_by) == (state, None)
    assert story.running() == []
    assert story.refusal(SHANDONG, "decide", **OPINION).rule == "wrong_state"


@pytest.mark.parametrize("outcome", ["revoked", "remanded"])
def test_a_review_that_remands_leads_to_a_new_decision_with_a_review_of_its_own(
    outcome: str,
) -> None:
    story = Story().to("review_requested")
    story.do(SHANDONG, "decide_review", **{**OPINION, "outcome": outcome})
    story.do(SHANDONG, "serve", document="review_decision")
    assert story.do(SHANDONG, "decide", **OPINION).outcome == "supported"
    assert story.do(SHANDONG, "serve").state == State.SERVED
    assert names.REVIEW_REQUEST in story.running()
    story.to("recheck_decided")
    assert story.case.conflicts == []


def test_after_a_recheck_that_revokes_the_new_decision_has_no_review() -> None:
    story = Story().to("recheck_requested")
    story.do(SHANDONG, "decide_recheck", **{**OPINION, "outcome": "revoked"})
    assert story.refusal(SHANDONG, "close").rule == "decide_anew"
    story.do(SHANDONG, "decide", **OPINION)
    story.do(SHANDONG, "serve")
    assert names.REVIEW_REQUEST not in story.running()
    assert story.refusal(SHANDONG, "request_review", **REASONS).rule == "final"
    assert story.do(SHANDONG, "close").state == State.CLOSED


def test_a_supervision_is_replied_to_and_lifted_beside_the_main_line() -> None:
    story = Story().to("landed")
    story.do(CENTRE, "supervise", **ORDER, to=SHANDONG)
    (key,) = story.case.supervisions
    story.later(1).do(SHANDONG, "reply_supervision", supervision_id=key, answer="已反馈")
    story.later(1).do(CENTRE, "lift_supervision", supervision_id=key)
    one = story.case.supervisions[key]
    assert (one["by"], one["to"], one["grounds"]) == (CENTRE, SHANDONG, [2])
    assert one["issued_at"] < one["replied_at"] < one["lifted_at"] < one["due_at"]
    assert story.case.state == State.LANDED
    assert story.clock(names.SUPERVISION).met_at == one["replied_at"]


def test_a_supervision_that_is_lifted_unanswered_is_not_met() -> None:
    story = Story().to("landed")
    story.do(SHANDONG, "supervise", **ORDER, to=SHANDONG)
    (key,) = story.case.supervisions
    story.do(SHANDONG, "lift_supervision", supervision_id=key)
    assert not story.clock(names.SUPERVISION).runs
    assert story.clock(names.SUPERVISION).met_at is None


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("persons", "7", 7),
        ("petition_class", "suggestion", "suggestion"),
        ("title", "欠薪", "欠薪"),
        ("received_at", "1970-01-01T08:00:01+08:00", 1_000_000),
        ("litigation", "是", True),
    ],
)
def test_a_correction_sets_the_registration_right_and_leaves_the_state(
    field: str, text: str, value: object
) -> None:
    story = Story().to("landed")
    correction = {"corrections": [{"field": field, "value": text}], "reason": "更正"}
    case = story.do(BEIJING, "correct", **correction)
    assert case.registration[field] == value
    assert (case.state, case.handled_by) == (State.LANDED, SHANDONG)


@pytest.mark.parametrize(
    ("state", "then"),
    [("landed", "returned"), ("accepted", "returned"), ("decided", "returned"),
     ("served", "served")],
)  # fmt: skip
def test_a_handler_who_turns_out_to_be_accused_loses_the_case_to_the_centre(
    state: str, then: str
) -> None:
    story = Story().to(state)
    correction = {"corrections": [{"field": "accused", "value": "山东省"}], "reason": "更正"}
    case = story.do(BEIJING, "correct", **correction)
    assert (case.state, case.handled_by) == (then, CENTRE)
    duties = [
        one
        for one in case.clocks
        if one.runs and one.clock not in (names.REVIEW_REQUEST, names.EVALUATION)
    ]
    assert not [one for one in duties if one.owner == SHANDONG]
    held = story.universe.nodes[SHANDONG].case(case.case_id)
    assert held.version < case.version, "the correction itself must not reach the accused"


def test_an_accused_node_that_does_not_know_of_it_acts_without_effect() -> None:
    story = Story().to("landed")
    correction = {"corrections": [{"field": "accused", "value": "山东省"}], "reason": "更正"}
    story.do(BEIJING, "correct", **correction)
    case = story.do(SHANDONG, "not_accept", **REFUSE)
    assert (case.state, case.handled_by) == (State.RETURNED, CENTRE)
    assert [conflict.rule for conflict in case.conflicts] == ["accusation"]
    assert story.do(CENTRE, "assign", to=CORPS).handled_by == CORPS


def test_a_correction_adds_to_the_accused() -> None:
    story = Story(accused=["某某局"]).to("registered")
    correction = {"corrections": [{"field": "accused", "value": "二处;三处"}], "reason": "更正"}
    case = story.do(BEIJING, "correct", **correction)
    assert case.registration["accused"] == ["某某局", "二处", "三处"]


def test_a_class_that_has_no_time_for_handling_ends_it() -> None:
    story = Story().to("accepted")
    assert story.running() == [names.REPLY]
    correction = {"field": "petition_class", "value": "suggestion"}
    story.do(SHANDONG, "correct", corrections=[correction], reason="归类")
    assert story.running() == []
    assert story.clock(names.REPLY).met_at is None


def test_first_or_repeat_can_be_found_again_and_opens_or_closes_evaluation() -> None:
    story = Story().to("served")
    story.do(CENTRE, "identify", finding="repeat", repeat_of="110000-20260101-AAAAAAAA")
    good = {"object": "unit", "satisfaction": "basically_satisfied"}
    assert story.refusal(BEIJING, "evaluate", **good).rule == "evaluation_first_only"
    assert story.do(CENTRE, "identify", finding="first", group=True).group
    assert story.do(BEIJING, "evaluate", **good).evaluations == {"unit": "basically_satisfied"}


def test_an_evaluation_given_in_time_counts_though_it_arrives_after_the_expiry() -> None:
    story = Story().to("served")
    beijing, good = story.universe.nodes[BEIJING], {"object": "unit", "satisfaction": "satisfied"}
    in_time = story.later(29).now
    story.later(2).do(CENTRE, "expire_evaluation", object="unit")
    assert story.case.evaluations == {"unit": "expired"}
    late = beijing.do("evaluate", story.case.case_id, good, at=in_time)
    story.universe.take(beijing, late)
    story.universe.deliver_all()
    assert story.case.evaluations == {"unit": "satisfied"}
    assert story.case.conflicts == []


def test_who_is_dissatisfied_gives_a_reason_and_it_is_kept() -> None:
    story = Story().to("served")
    bad = {"object": "office", "satisfaction": "dissatisfied", "reason": "超期"}
    assert story.do(BEIJING, "evaluate", **bad).dissatisfactions == {"office": "超期"}
