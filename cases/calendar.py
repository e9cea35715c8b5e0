"""The calendar 日历 computes when a clock is due.

The first day is not counted; a clock is due at 24:00 (UTC+8) of its last day, and that is the
first instant that is too late. Natural days 自然日 run through rest days. Working days 工作日
follow the published days off with their worked weekends 调休 (package chinesecalendar); beyond
its years only weekends and the holidays with a fixed date are known, and the due instant is
provisional 暂定. The owner of a clock computes it once and sends it with the calendar's version.
"""

from collections.abc import Set
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

import chinese_calendar

from schemas.errors import Invalid
from schemas.instants import CHINA, date_in_china, micros_at, text_of

_DAY: Final = timedelta(days=1)
# Statutory holidays with a fixed date since 2025: 元旦, 劳动节, 国庆节. The others follow the moon.
_FIXED: Final = frozenset({(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)})
_SATURDAY: Final = 5


class Due(NamedTuple):
    """The due instant of a clock (micros), whether it may still move, and the calendar used."""

    due_at: int
    provisional: bool
    calendar: str


class WorkingDays(NamedTuple):
    """A calendar: the published days off and worked weekends of whole years."""

    name: str
    first_year: int
    last_year: int
    off: Set[date]
    worked: Set[date]

    def covers(self, day: date) -> bool:
        """Return whether the days off of that year are published."""
        return self.first_year <= day.year <= self.last_year

    def works(self, day: date) -> bool:
        """Return whether people work that day, as far as it is known."""
        if self.covers(day):
            return day in self.worked or (day.weekday() < _SATURDAY and day not in self.off)
        return day.weekday() < _SATURDAY and (day.month, day.day) not in _FIXED


@cache
def installed() -> WorkingDays:
    """Return the calendar that this node has."""
    off, worked = chinese_calendar.holidays, chinese_calendar.workdays
    name = f"chinesecalendar {chinese_calendar.__version__}"
    return WorkingDays(name, min(off).year, max(off).year, off.keys(), worked.keys())


def due(
    started_at: int,
    length: int,
    unit: str,
    roll_over: bool = False,
    calendar: WorkingDays | None = None,
) -> Due:
    """Return when a clock of `length` days that starts at this instant is due.

    `unit` is day or working_day. Raises `Invalid` if it would end after the year 9999.
    """
    return _counted(_day_of(started_at), length, unit, roll_over, calendar)


def prolonged(
    due_at: int,
    length: int,
    unit: str = "day",
    roll_over: bool = False,
    calendar: WorkingDays | None = None,
) -> Due:
    """Return when a clock that was due at `due_at` is due after `length` more days 延期.

    Unlike for `due`, the old end is 24:00 of a day that was counted already.
    """
    return _counted(_day_of(due_at - 1), length, unit, roll_over, calendar)


def paused(due_at: int, paused_from: int, paused_until: int) -> Due:
    """Return when a natural-day clock is due that was paused between these instants 听证.

    Every day of the pause, begun ones too, is given back (an assumption: the law says only that the
    hearing's time does not count). A pause that began after the end changes nothing.
    """
    if paused_from >= due_at or paused_until < paused_from:
        return Due(due_at, False, "")
    return prolonged(due_at, (date_in_china(paused_until) - date_in_china(paused_from)).days + 1)


def corrected(
    started_at: int,
    length: int,
    unit: str,
    roll_over: bool = False,
    calendar: WorkingDays | None = None,
) -> Due | None:
    """Return the final due instant of a provisional clock, None until its calendar is known."""
    now = due(started_at, length, unit, roll_over, calendar)
    return None if now.provisional else now


def _counted(
    day: date, length: int, unit: str, roll_over: bool, calendar: WorkingDays | None
) -> Due:
    if length < 1 or unit not in ("day", "working_day"):
        raise ValueError(f"a clock of {length} {unit} has no due instant to compute")
    known = calendar or installed()
    try:
        if unit == "working_day":
            last, certain = _working_days(day, length, known)
        else:
            last, certain = day + length * _DAY, True
            if not roll_over:
                return Due(_midnight_after(last), False, "")
            last, certain = _next_working_day(last, known)
        return Due(_midnight_after(last), not certain, known.name)
    except OverflowError:
        raise Invalid(f"{length} {unit}s after {day} is beyond the year 9999") from None


def _working_days(day: date, length: int, known: WorkingDays) -> tuple[date, bool]:
    """Return the last of `length` working days after `day`, and if all days passed are known."""
    certain = True
    while length:
        day += _DAY
        certain = certain and known.covers(day)
        length -= known.works(day)
    return day, certain


def _next_working_day(day: date, known: WorkingDays) -> tuple[date, bool]:
    """Return `day` itself or the first working day after it, and if all days passed are known."""
    certain = known.covers(day)
    while not known.works(day):
        day += _DAY
        certain = certain and known.covers(day)
    return day, certain


def _day_of(micros: int) -> date:
    try:
        return date_in_china(micros)
    except OverflowError:
        raise Invalid(f"a clock cannot start at {text_of(micros)}") from None


def _midnight_after(day: date) -> int:
    return micros_at(datetime.combine(day + _DAY, datetime.min.time(), tzinfo=CHINA))
