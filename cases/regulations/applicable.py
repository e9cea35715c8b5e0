"""Rule sets 法规: which regulation a case lives under, by the day of its registration.

XF2005 (《信访条例》) from 2005-05-01 to 2022-04-30, XF2022 (《信访工作条例》) from 2022-05-01.
That a case keeps the rule set of its registration is an assumption of ours, as is XF2005 for
the years before it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.instants import CHINA

_XF2022_FROM = int(datetime(2022, 5, 1, tzinfo=CHINA).timestamp()) * 1_000_000


def rule_set_of(registered_at: int) -> str:
    """The rule set of a case registered at this instant (micros)."""
    return "XF2022" if registered_at >= _XF2022_FROM else "XF2005"


def china_date(micros: int) -> str:
    """The day in China (UTC+8) of an instant, as YYYYMMDD."""
    instant = datetime.fromtimestamp(micros / 1_000_000, tz=UTC)
    return instant.astimezone(CHINA).strftime("%Y%m%d")
