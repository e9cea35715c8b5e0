"""Read dates as Chinese offices write them 日期, as instants in micros; without a zone, UTC+8.

Accepted: 2019/4/25 9:32:09 · 2019-04-25 09:32 · 2019.4.25 · 2019年4月25日 9时32分 · 20190425 ·
20190425093209 · ISO 8601 with or without a zone · the five-digit day number of Excel (43580.397).
"""

import re
import unicodedata
from datetime import date
from typing import Final, NamedTuple

from producers.register.errors import CellError

SECOND: Final = 1_000_000  # micros
DAY: Final = 86_400 * SECOND
CHINA_OFFSET: Final = 8 * 3600 * SECOND  # the whole country keeps UTC+8
EARLIEST_YEAR: Final = 1949  # nothing can have been registered before; catches typing errors
FUTURE_ALLOWED: Final = DAY  # a fast clock, or a date written around midnight

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# Day 0 of Excel's 1900 date system, which counts a 29 February 1900 that never was.
_EXCEL_ORDINAL = date(1899, 12, 30).toordinal()

_CLOCK = r"(\d{1,2})(?:[:时点](?:(\d{1,2})(?:[:分](?:(\d{1,2})(?:\.(\d{1,6})\d*)?秒?)?)?)?)"
_ZONE = r"\s*(Z|[+-]\d\d(?::?\d\d)?)?"
_WRITTEN = re.compile(
    rf"(\d{{4}})[-/.年](\d{{1,2}})[-/.月](\d{{1,2}})日?(?:(?:\s*T?\s*){_CLOCK}{_ZONE})?", re.ASCII
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T?(\d\d)(\d\d)(\d\d)?)?", re.ASCII)
_SERIAL = re.compile(r"(\d{5})(?:\.(\d+))?", re.ASCII)


class Instant(NamedTuple):
    """An instant in micros. If `date_only`, only the day is known, and `at` is its 00:00 UTC+8.

    Midnight without a zone counts as a date only, because exports write dates like that.
    """

    at: int
    date_only: bool


def parse_instant(text: str, now: int) -> Instant:
    """Return the instant in a cleaned cell.

    Raises `CellError` if there is none, before 1949, or more than a day after `now` (micros).
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    instant = _parse(plain)
    if instant.at < _EARLIEST:
        raise CellError(f"lies before {EARLIEST_YEAR}: correct the date")
    if instant.at > now + FUTURE_ALLOWED:
        raise CellError("lies in the future: correct the date")
    return instant


def not_before(instant: Instant, earlier: int) -> int | None:
    """Return the instant in micros if it does not precede `earlier`, else None.

    A date alone on the day of `earlier` means that instant itself.
    """
    if instant.at >= earlier:
        return instant.at
    same_day = instant.date_only and earlier < instant.at + DAY
    return earlier if same_day else None


def _parse(text: str) -> Instant:
    match = _WRITTEN.fullmatch(text) or _COMPACT.fullmatch(text)
    if match:
        return _instant(*match.groups())
    if match := _SERIAL.fullmatch(text):
        return _from_serial(match)
    raise CellError("is not a date: write it as 2019-04-25 or 2019-04-25 09:32")


def _instant(
    year: str,
    month: str,
    day: str,
    hour: str | None = None,
    minute: str | None = None,
    second: str | None = None,
    fraction: str | None = None,
    zone: str | None = None,
) -> Instant:
    time = _time(int(hour or 0), int(minute or 0), int(second or 0), fraction)
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        raise CellError("is not a day of the calendar: correct the date") from None
    at = days * DAY + time - _offset(zone)
    return Instant(at, date_only=time == 0 and zone is None)


def _time(hour: int, minute: int, second: int, fraction: str | None) -> int:
    if hour > 23 or minute > 59 or second > 59:
        raise CellError("is not a time of day: correct the time")
    micros = int(fraction.ljust(6, "0")) if fraction else 0
    return (hour * 3600 + minute * 60 + second) * SECOND + micros


def _offset(zone: str | None) -> int:
    if zone is None:
        return CHINA_OFFSET
    if zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 14 or minutes > 59:
        raise CellError("has a zone that does not exist: correct the zone")
    return (1 if zone[0] == "+" else -1) * (hours * 3600 + minutes * 60) * SECOND


def _from_serial(match: re.Match[str]) -> Instant:
    days = int(match[1]) + _EXCEL_ORDINAL - _EPOCH_ORDINAL
    # A fraction of a day is never exact, and registers keep whole seconds.
    seconds = round(float("0." + (match[2] or "0")) * 86_400)
    at = days * DAY + seconds * SECOND - CHINA_OFFSET
    return Instant(at, date_only=seconds == 0)


_EARLIEST = (date(EARLIEST_YEAR, 1, 1).toordinal() - _EPOCH_ORDINAL) * DAY - CHINA_OFFSET
