"""Instants 时刻: the clock, and conversions between text and the micros of records.

All code uses instants in microseconds since the epoch, UTC ("micros").
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

from schemas.errors import Invalid
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS

Clock = Callable[[], int]
"""The clock as a value, so that a test can replace it; it returns micros."""

CHINA: Final = timezone(timedelta(hours=8))  # 北京时间, the zone of texts without one

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# RFC 3339, in which the zone and the seconds may be missing.
_WRITTEN: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE
)
_HINT: Final = "write it as 2026-02-13T09:30:00+08:00"


def now_micros() -> int:
    return time.time_ns() // 1000


def parse_instant(name: str, value: Any) -> int:
    """Return the micros of RFC 3339 text, or of an int that is micros already.

    Text without a zone is UTC+8. Raises `Invalid`, naming the field, outside the years 1 to 9999.
    """
    try:
        return micros_of(value)
    except ValueError as error:
        raise Invalid(f"{name}: {error}") from None


def micros_of(value: Any) -> int:
    """Do as `parse_instant`, but raise `ValueError` without the name of the field."""
    if type(value) is str:
        value = _parsed(value)
    elif type(value) is not int:
        raise ValueError(f"is no instant: {_HINT}")
    if not MIN_INSTANT_MICROS <= value <= MAX_INSTANT_MICROS:
        raise ValueError("the instant is outside the years 1 to 9999")
    return int(value)


def datetime_of(micros: int) -> datetime:
    """Return the instant in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def micros_at(instant: datetime) -> int:
    """Return the micros of an instant with a zone."""
    return (instant - _EPOCH) // _MICROSECOND


def date_in_china(micros: int) -> date:
    """Return the day in China (UTC+8); raise `OverflowError` outside the years 1 to 9999."""
    return datetime_of(micros).astimezone(CHINA).date()


def text_of(micros: int) -> str:
    """Return RFC 3339 in +08:00, with a fraction only if there is one.

    The first and last hours of the calendar, which +08:00 cannot express, are given in UTC.
    """
    instant = datetime_of(micros)
    try:
        return instant.astimezone(CHINA).isoformat()
    except OverflowError:
        return instant.isoformat()


def utc_of(micros: int) -> str:
    """Return RFC 3339 in UTC, always with six digits of a fraction."""
    return datetime_of(micros).isoformat(timespec="microseconds")


def _parsed(text: str) -> int:
    if not _WRITTEN.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no instant: {_HINT}")
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"{text!r} is not in the calendar or on the clock: {_HINT}") from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=CHINA)
    return micros_at(instant)
