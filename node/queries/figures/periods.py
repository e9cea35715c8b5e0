"""Periods 统计期 of days in China, first and last inclusive.

A due instant 时限 is 24:00 of its last day, which is 00:00 of the next: it belongs to the day that
ends with it. Other instants of 00:00 belong to the day that begins with them.
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from schemas.errors import Invalid
from schemas.instants import CHINA

# Dates beyond are typing errors; Postgres can represent every instant between.
_EARLIEST, _LATEST = date(1900, 1, 1), date(2200, 12, 31)


class Period(NamedTuple):
    """A period: `begin` ≤ an instant < `end`, but for due instants `begin` < due ≤ `end`."""

    first: date
    last: date
    begin: datetime
    end: datetime


def period(first: date, last: date) -> Period:
    """Return the period from `first` to `last`; raises `Invalid` for one that cannot be."""
    if first > last:
        raise Invalid(f"the period ends {last}, before it begins {first}: swap the dates")
    if first < _EARLIEST or last > _LATEST:
        raise Invalid(
            f"the period {first} to {last}: choose days between {_EARLIEST} and {_LATEST}"
        )
    return Period(first, last, _midnight(first), _midnight(last + timedelta(days=1)))


def all_time() -> Period:
    return period(_EARLIEST, _LATEST)


def today() -> date:
    return datetime.now(CHINA).date()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CHINA).astimezone(UTC)
