"""The clocks 时限 of a life: when they start, are due and end, and whose they are."""

from typing import Any

import pytest
from support.story import BEIJING, CENTRE, CORPS, REASONS, SHANDONG, Story, instant

from cases.clocks import names
from cases.fold import fold

HOUR = 3_600_000_000
OPINION = {"outcome": "supported", "opinion": "意见"}
EXTEND = {"reason": "复杂", "approver": "某主任"}


def midnight(day: str) -> int:
    """Return the first instant after a day: 24:00 of it in China."""
    return instant(f"{day}T00:00:00+08:00") + 24 * HOUR


# docs/domain.md §3: arrival → +1 and +5 working days.
VECTORS = [
    ("2026-02-13", "2026-02-14", "2026-02-27"),
    ("2026-02-14", "2026-02-24", "2026-02-28"),
    ("2026-02-15", "2026-02-24", "2026-02-28"),
    ("2026-09-30", "2026-10-08", "2026-10-13"),
    ("2026-01-01", "2026-01-04", "2026-01-08"),
]


@pytest.mark.parametrize(("day", "landing", "objection"), VECTORS)
def test_a_dispatch_carries_what_the_sender_expects(day: str, landing: str, objection: str) -> None:
    story = Story().at(f"{day}T09:00:00+08:00").to("assigned")
    assert story.clock(names.LANDING).due_at == midnight(landing)
    assert story.clock(names.OBJECTION).due_at == midnight(objection)
    assert {
        story.clock(name).owner for name in (names.LANDING, names.ACCEPTANCE, names.OBJECTION)
    } == {SHANDONG}
    assert not story.clock(names.LANDING).provisional


def test_xf2005_counts_its_own_holidays_and_has_no_objection_clock() -> None:
    story = Story("XF2005").at("2015-02-13T09:00:00+08:00").to("assigned")
    assert story.clock(names.LANDING).due_at == midnight("2015-02-15")
    assert story.case.latest(names.OBJECTION) is None


def test_beyond_the_published_calendar_a_due_instant_is_provisional() -> None:
    story = Story().at("2026-12-31T09:00:00+08:00").to("assigned")
    assert story.clock(names.LANDING).provisional
    assert "chinesecalendar" in story.clock(names.LANDING).calendar


# From Monday 2026-03-02 10:00: natural days run through rest days.
MAIN = [
    ("registered", names.DISPOSAL, BEIJING, "2026-03-17"),
    ("landed", names.ACCEPTANCE, SHANDONG, "2026-03-17"),
    ("accepted", names.REPLY, SHANDONG, "2026-05-01"),
    ("served", names.REVIEW_REQUEST, SHANDONG, "2026-04-01"),
    ("served", names.EVALUATION, SHANDONG, "2026-04-01"),
    ("review_requested", names.REVIEW, SHANDONG, "2026-04-01"),
    ("recheck_requested", names.RECHECK, SHANDONG, "2026-04-01"),
]


@pytest.mark.parametrize(("state", "clock", "owner", "last_day"), MAIN)
def test_each_clock_of_the_main_line_is_due_at_24_of_its_last_day(
    state: str, clock: str, owner: str, last_day: str
) -> None:
    one = Story().to(state).clock(clock)
    assert (one.owner, one.due_at) == (owner, midnight(last_day))
    assert one.started_at == instant("2026-03-02T10:00:00+08:00")
    assert one.runs


def test_d01_starts_with_receipt_not_with_registration() -> None:
    received = instant("2026-02-20T23:59:59+08:00")
    one = Story(received_at=received).to("registered").clock(names.DISPOSAL)
    assert (one.started_at, one.due_at) == (received, midnight("2026-03-07"))


def test_landing_is_timed_by_arrival_not_by_the_senders_desk() -> None:
    story = Story().at("2026-03-05T23:00:00+08:00").to("assigned")
    sent = story.clock(names.LANDING)
    story.later(0.5).do(SHANDONG, "land", travelled=2 * HOUR)
    own = story.clock(names.LANDING)
    assert own.started_at == sent.started_at + 2 * HOUR
    assert (sent.due_at, own.due_at) == (midnight("2026-03-06"), midnight("2026-03-09"))
    assert own.met_at == story.now
    assert (
        sum(one.met_at is not None for one in story.case.clocks if one.clock == names.LANDING) == 1
    )


def test_on_time_is_before_the_due_instant_and_not_at_it() -> None:
    for late, in_time in ((0, False), (-1, True)):
        story = Story().to("accepted")
        due = story.clock(names.REPLY).due_at
        story.universe.time.now = due + late
        story.do(SHANDONG, "decide", **OPINION)
        met_at = story.clock(names.REPLY).met_at
        assert met_at is not None
        assert (met_at < due) is in_time


def test_an_extension_takes_the_place_of_d06_and_counts_on_from_its_last_day() -> None:
    story = Story().to("accepted").later(59)
    story.do(SHANDONG, "extend", days=30, **EXTEND)
    assert story.running() == [names.EXTENSION]
    assert story.clock(names.EXTENSION).due_at == midnight("2026-05-31")
    assert story.clock(names.REPLY).met_at is None
    story.later(20).do(SHANDONG, "decide", **OPINION)
    assert story.clock(names.EXTENSION).met_at == story.now


def test_the_last_instant_to_extend_is_just_before_the_end() -> None:
    story = Story().to("accepted")
    story.universe.time.now = story.clock(names.REPLY).due_at
    assert story.refusal(SHANDONG, "extend", days=1, **EXTEND).rule == "extension_late"
    story.universe.time.now -= 1
    assert story.do(SHANDONG, "extend", days=1, **EXTEND).extended


def test_the_simple_procedure_has_ten_working_days_and_no_extension() -> None:
    story = Story().at("2026-02-13T09:00:00+08:00").to("landed")
    story.do(SHANDONG, "accept", procedure="simple")
    assert story.running() == [names.SIMPLE_REPLY]
    assert story.clock(names.SIMPLE_REPLY).due_at == midnight("2026-03-05")
    assert story.refusal(SHANDONG, "extend", days=1, **EXTEND).rule == "extension_no_clock"


@pytest.mark.parametrize(
    ("rule_set", "matter", "has"),
    [
        ("XF2022", {"petition_class": "claim", "claim_path": "6"}, True),
        ("XF2022", {"petition_class": "claim", "claim_path": "3"}, False),
        ("XF2022", {"petition_class": "suggestion"}, False),
        ("XF2022", {}, True),
        ("XF2005", {}, True),
        ("XF2005", {"petition_class": "suggestion"}, True),
    ],
)
def test_which_matters_have_handling_time_and_reviews(
    rule_set: str, matter: dict[str, str], has: bool
) -> None:
    story = Story(rule_set, **matter).to("accepted")
    assert (names.REPLY in story.running()) is has
    assert (names.REVIEW_REQUEST in story.to("served").running()) is has


def test_an_assignment_is_reported_back_by_the_day_that_it_names() -> None:
    named = instant("2026-04-10T00:00:00+08:00")
    story = Story().to("registered")
    story.do(CENTRE, "assign", to=SHANDONG, report_due_at=named)
    assert (story.clock(names.REPORT).owner, story.clock(names.REPORT).due_at) == (SHANDONG, named)
    story.to("decided")
    assert story.clock(names.REPORT).met_at == story.now


def test_an_objection_stops_the_time_and_its_refusal_starts_it_again() -> None:
    named = instant("2026-04-10T00:00:00+08:00")
    story = Story().to("registered")
    story.do(CENTRE, "assign", to=SHANDONG, report_due_at=named)
    story.do(SHANDONG, "object", **REASONS)
    assert story.running() == []
    story.later(2).do(CENTRE, "rule_objection", **REASONS, ruling="refused")
    assert story.running() == [names.LANDING, names.ACCEPTANCE, names.REPORT]
    assert story.clock(names.REPORT).due_at == named
    assert {one.owner for one in story.case.clocks if one.runs} == {SHANDONG}
    story.do(SHANDONG, "land")
    assert story.running() == [names.ACCEPTANCE, names.REPORT], (
        "who objected once has no window to object again"
    )


def test_who_had_landed_need_not_land_again_after_a_refused_objection() -> None:
    story = Story().to("landed")
    story.do(SHANDONG, "object", **REASONS)
    story.do(CENTRE, "rule_objection", **REASONS, ruling="refused")
    assert story.running() == [names.ACCEPTANCE]


def test_a_returned_case_is_to_be_disposed_of_again_by_who_sent_it() -> None:
    story = Story().to("landed")
    story.do(SHANDONG, "object", **REASONS)
    story.do(CENTRE, "rule_objection", **REASONS, ruling="agreed")
    assert story.running() == [names.DISPOSAL]
    assert story.clock(names.DISPOSAL).owner == CENTRE
    story.do(CENTRE, "assign", to=CORPS)
    assert story.clock(names.DISPOSAL).met_at == story.now
    assert story.running() == [names.LANDING, names.ACCEPTANCE, names.OBJECTION]


def test_a_case_that_the_centre_sends_elsewhere_is_nobodys_duty_where_it_was() -> None:
    story = Story().to("registered")
    named = instant("2026-04-10T00:00:00+08:00")
    story.do(CENTRE, "assign", to=SHANDONG, report_due_at=named)
    story.do(CENTRE, "forward", to=CORPS)
    assert {one.owner for one in story.case.clocks if one.runs} == {CORPS}


def test_passing_on_meets_the_landing_and_hands_the_duties_on() -> None:
    story = Story().to("assigned").later(0.1)
    story.do(SHANDONG, "forward", to=CORPS)
    passed = next(
        one for one in story.case.clocks if one.owner == SHANDONG and one.clock == names.LANDING
    )
    assert passed.met_at == story.now
    assert {one.owner for one in story.case.clocks if one.runs} == {CORPS}


def test_a_matter_that_the_centre_registered_has_the_shares_of_the_tiers() -> None:
    story = Story()
    case_id = "000000-20260302-7K3M9QXA"
    centre = story.universe.centre
    story.universe.take(centre, centre.do("register", case_id, {
        "title": "供暖不足", "channel": "web", "received_at": story.now}))  # fmt: skip
    story.universe.take(centre, centre.do("forward", case_id, {"to": SHANDONG}))
    tiers = [one for one in centre.case(case_id).clocks if one.clock == names.TIER]
    assert [(one.owner, one.due_at) for one in tiers] == [
        (CENTRE, midnight("2026-03-07")),
        (SHANDONG, midnight("2026-03-05")),
    ]
    assert [one.met_at for one in tiers] == [story.now, None]


def test_a_hearing_pauses_the_recheck() -> None:
    story = Story().to("recheck_requested").later(34)
    hearing: dict[str, Any] = {
        "hearing": True,
        "hearing_from": story.now - 6 * 24 * HOUR,
        "hearing_until": story.now - 5 * 24 * HOUR,
    }
    story.do(SHANDONG, "decide_recheck", **OPINION | {"outcome": "upheld"}, **hearing)
    one = story.clock(names.RECHECK)
    assert one.due_at == midnight("2026-04-03")
    assert one.met_at == one.ended_at == story.now


def test_reviews_end_the_windows_of_the_petitioner() -> None:
    story = Story().to("review_requested")
    assert story.clock(names.REVIEW_REQUEST).met_at == story.now
    story.to("review_decided").do(SHANDONG, "serve", document="review_decision")
    assert story.clock(names.RECHECK_REQUEST).due_at == midnight("2026-04-01")
    story.to("recheck_requested")
    assert names.RECHECK_REQUEST not in story.running()


@pytest.mark.parametrize("given", [{}, {"answer_due_at": "2026-03-09T17:00:00+08:00"}])
def test_a_supervision_is_answered_in_30_days_or_by_the_day_that_it_names(
    given: dict[str, str],
) -> None:
    story = Story().to("landed")
    order = {"kind": "urged", "grounds": [1], "requirement": "请办理", **given}
    story.do(CENTRE, "supervise", to=SHANDONG, **order)
    story.do(CENTRE, "supervise", to=SHANDONG, **order)
    due = instant(given["answer_due_at"]) if given else midnight("2026-04-01")
    both = [one for one in story.case.clocks if one.clock == names.SUPERVISION]
    assert [(one.owner, one.due_at, one.runs) for one in both] == [(SHANDONG, due, True)] * 2


@pytest.mark.parametrize(("results", "met"), [(("good", "good"), True), (("good", "none"), False)])
def test_the_evaluation_window_ends_when_both_were_evaluated_or_expired(
    results: tuple[str, str], met: bool
) -> None:
    story = Story().to("served")
    for about, result in zip(("office", "unit"), results, strict=True):
        assert names.EVALUATION in story.running()
        if result == "good":
            story.do(BEIJING, "evaluate", object=about, satisfaction="satisfied")
        else:
            story.later(31).do(SHANDONG, "expire_evaluation", object=about)
    assert names.EVALUATION not in story.running()
    assert (story.clock(names.EVALUATION).met_at is not None) is met


@pytest.mark.parametrize(
    "matter", [{"litigation": True}, {"petition_class": "claim", "claim_path": "1"}]
)
def test_what_is_not_evaluated_has_no_window(matter: dict[str, Any]) -> None:
    assert Story(**matter).to("served").case.latest(names.EVALUATION) is None


def test_others_take_the_due_instant_as_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story().to("recheck_decided")
    events = story.universe.centre.events(story.case.case_id)
    for name in ("due", "prolonged", "paused"):
        monkeypatch.setattr(f"cases.clocks.starts.{name}", None)
    assert fold(story.case.case_id, events) == story.case


def test_a_matter_corrected_to_have_handling_time_gets_it_from_its_acceptance_on() -> None:
    story = Story(petition_class="suggestion").to("accepted")
    accepted_at = story.now
    assert names.REPLY not in story.running()
    story.later(3).do(
        BEIJING,
        "correct",
        reason="分类有误",
        corrections=[
            {"field": "petition_class", "value": "claim"},
            {"field": "claim_path", "value": "6"},
        ],
    )
    assert (story.clock(names.REPLY).started_at, story.clock(names.REPLY).owner) == (
        accepted_at,
        SHANDONG,
    )
