"""Clocks are due by natural days or working days, also in years without published days off."""

from datetime import date, datetime, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.calendar import (
    Due,
    WorkingDays,
    corrected,
    due,
    installed,
    paused,
    prolonged,
)
from schemas.errors import Invalid
from schemas.instants import CHINA, parse_instant, text_of
from schemas.limits import MAX_INSTANT_MICROS

MIDNIGHT = "T00:00:00+08:00"
# docs/domain.md §3: arrival, and the last of 1, 5 and 10 working days.
VECTORS = [
    ("2026-02-13", "2026-02-14", "2026-02-27", "2026-03-05"),
    ("2026-02-14", "2026-02-24", "2026-02-28", "2026-03-06"),
    ("2026-02-15", "2026-02-24", "2026-02-28", "2026-03-06"),
    ("2026-09-30", "2026-10-08", "2026-10-13", "2026-10-20"),
    ("2026-01-01", "2026-01-04", "2026-01-08", "2026-01-15"),
    ("2015-02-13", "2015-02-15", "2015-02-26", "2015-03-04"),
    ("2015-09-02", "2015-09-06", "2015-09-10", "2015-09-17"),
]
TIMES = ["00:00:00", "09:30:00", "17:59:59.999999", "23:59:59.999999"]
DAYS = st.dates(date(2004, 1, 1), date(2025, 12, 31))
ANY_DAYS = st.dates(date(1990, 1, 1), date(2100, 1, 1))
SECONDS = st.integers(0, 86_399)


def micros(day: str | date, time: str = "12:00:00") -> int:
    return parse_instant("at", f"{day}T{time}+08:00")


def last_day(found: Due) -> date:
    """Return the day at whose 24:00 it is due; fails unless it is a midnight in China."""
    text = text_of(found.due_at)
    assert text.endswith(MIDNIGHT), text
    return date.fromisoformat(text[:10]) - timedelta(days=1)


def instant(day: date, second: int) -> int:
    at = datetime(day.year, day.month, day.day, tzinfo=CHINA) + timedelta(seconds=second)
    return int(at.timestamp()) * 1_000_000


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize(("arrival", "one", "five", "ten"), VECTORS)
def test_working_days_are_those_of_the_domain(
    arrival: str, one: str, five: str, ten: str, time: str
) -> None:
    for length, expected in ((1, one), (5, five), (10, ten)):
        found = due(micros(arrival, time), length, "working_day")
        assert str(last_day(found)) == expected
        assert found.calendar == f"chinesecalendar {chinese_calendar.__version__}"
        assert not found.provisional


def test_a_year_that_is_not_published_is_provisional() -> None:
    assert installed().last_year == 2026, "the calendar was updated: choose a year beyond it here"
    for length, expected in ((1, "2027-01-04"), (5, "2027-01-08"), (10, "2027-01-15")):
        found = due(micros("2026-12-31"), length, "working_day")
        assert (str(last_day(found)), found.provisional) == (expected, True)


def test_one_unknown_day_in_the_span_is_enough_to_be_provisional() -> None:
    assert not due(micros("2026-12-30"), 1, "working_day").provisional
    assert due(micros("2026-12-30"), 2, "working_day").provisional


def test_the_fallback_rests_at_weekends_and_fixed_holidays_only() -> None:
    golden_week = due(micros("2030-09-30"), 1, "working_day")  # a Monday; 1 to 3 October rest
    assert str(last_day(golden_week)) == "2030-10-04"
    labour_day = due(micros("2029-04-30"), 1, "working_day")  # 1 and 2 May rest
    assert str(last_day(labour_day)) == "2029-05-03"


def test_a_provisional_due_date_is_corrected_once_its_year_is_known() -> None:
    known = installed()
    older = known._replace(name="an older one", last_year=2025)
    start = micros("2026-02-13")
    before = due(start, 1, "working_day", calendar=older)
    assert before == Due(micros("2026-02-17", "00:00:00"), True, "an older one")
    assert corrected(start, 1, "working_day", calendar=older) is None
    after = corrected(start, 1, "working_day")
    assert after is not None
    assert (str(last_day(after)), after.provisional) == ("2026-02-14", False)


def test_natural_days_run_through_holidays_and_need_no_calendar() -> None:
    found = due(micros("2026-01-20"), 30, "day")  # ends in the spring festival
    assert (str(last_day(found)), found.provisional, found.calendar) == ("2026-02-19", False, "")
    assert not due(micros("2035-01-01"), 60, "day").provisional


def test_a_rule_may_roll_over_to_the_next_working_day() -> None:
    rolled = due(micros("2026-01-20"), 30, "day", roll_over=True)
    assert str(last_day(rolled)) == "2026-02-24"
    assert rolled.calendar == installed().name
    assert str(last_day(due(micros("2026-01-20"), 25, "day", roll_over=True))) == "2026-02-14"
    assert due(micros("2026-12-31"), 3, "day", roll_over=True).provisional


def test_an_extension_counts_on_from_the_last_day() -> None:
    handling = due(micros("2026-03-01", "23:30:00"), 60, "day")
    assert str(last_day(handling)) == "2026-04-30"
    assert str(last_day(prolonged(handling.due_at, 30))) == "2026-05-30"
    whole = due(micros("2026-03-01"), 90, "day")
    assert prolonged(handling.due_at, 30) == whole


@pytest.mark.parametrize(
    ("begins", "ends", "given_back"),
    [
        ("2026-03-10T09:00:00+08:00", "2026-03-10T12:00:00+08:00", 1),
        ("2026-03-10T09:00:00+08:00", "2026-03-12T12:00:00+08:00", 3),
        ("2026-03-31T00:00:00+08:00", "2026-04-20T12:00:00+08:00", 0),  # after the end
        ("2026-03-12T09:00:00+08:00", "2026-03-10T12:00:00+08:00", 0),  # the wrong way round
    ],
)
def test_the_days_of_a_hearing_are_given_back(begins: str, ends: str, given_back: int) -> None:
    recheck = due(micros("2026-02-28"), 30, "day")
    assert str(last_day(recheck)) == "2026-03-30"
    found = paused(recheck.due_at, parse_instant("from", begins), parse_instant("until", ends))
    assert last_day(found) - last_day(recheck) == timedelta(days=given_back)


@pytest.mark.parametrize(("length", "unit"), [(0, "day"), (-1, "working_day"), (3, "named")])
def test_what_has_no_due_instant_is_a_mistake_of_the_caller(length: int, unit: str) -> None:
    with pytest.raises(ValueError, match="has no due instant"):
        due(micros("2026-01-01"), length, unit)


@pytest.mark.parametrize("unit", ["day", "working_day"])
def test_the_end_of_time_is_refused_in_one_line(unit: str) -> None:
    with pytest.raises(Invalid, match="beyond the year 9999"):
        due(micros("9999-12-20"), 60, unit)
    with pytest.raises(Invalid, match=r"beyond the year 9999|cannot start"):
        due(MAX_INSTANT_MICROS, 1, unit)


@given(ANY_DAYS, SECONDS, st.integers(1, 400))
def test_natural_days_are_the_date_plus_the_length(day: date, second: int, length: int) -> None:
    assert last_day(due(instant(day, second), length, "day")) == day + timedelta(days=length)


@given(ANY_DAYS, SECONDS, st.integers(1, 90), st.sampled_from(["day", "working_day"]))
def test_a_longer_clock_is_due_later(day: date, second: int, length: int, unit: str) -> None:
    start = instant(day, second)
    shorter, longer = due(start, length, unit), due(start, length + 1, unit)
    assert start < shorter.due_at < longer.due_at
    assert longer.provisional >= shorter.provisional


@given(DAYS, SECONDS, st.integers(1, 60))
def test_a_working_day_clock_counts_exactly_its_working_days(
    day: date, second: int, length: int
) -> None:
    found = due(instant(day, second), length, "working_day")
    last = last_day(found)
    counted = [day + timedelta(days=n) for n in range(1, (last - day).days + 1)]
    if not found.provisional:
        assert sum(map(chinese_calendar.is_workday, counted)) == length
        assert chinese_calendar.is_workday(last)


@given(DAYS, SECONDS, SECONDS, st.integers(1, 60), st.sampled_from(["day", "working_day"]))
def test_the_time_of_day_changes_nothing(
    day: date, one: int, other: int, length: int, unit: str
) -> None:
    assert due(instant(day, one), length, unit) == due(instant(day, other), length, unit)


@given(st.dates(date(2004, 1, 1), date(2026, 12, 31)))
def test_our_reading_of_the_package_is_its_own(day: date) -> None:
    known: WorkingDays = installed()
    assert known.covers(day)
    assert known.works(day) == chinese_calendar.is_workday(day)
