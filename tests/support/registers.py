"""Registers made up for tests, in the shape of the citizens' messages (mapping `messages`)."""

import csv
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

# The longest text that a registration takes.
LONGEST_TEXT = 4000
_HEADER = ("留言编号", "留言用户", "留言主题", "留言时间", "留言详情", "答复意见", "答复时间")
_FIRST = datetime(2026, 1, 5, 8, 30)


class Made(NamedTuple):
    """A register and what an import of it must count."""

    path: Path
    read: int
    registered: int
    duplicates: int
    rejected: int
    events: int

    @property
    def totals(self) -> dict[str, int]:
        """Return the JSON that the import prints."""
        counts = self._asdict()
        del counts["path"]
        return counts


def make_register(path: Path, good: int, *, repeated: int = 0, prefix: str = "T") -> Made:
    """A register of `good` rows, `repeated` of them twice, three that must be rejected.

    Two of three rows have a reply: registered, accepted, decided and served. `prefix` begins the
    numbers of the rows: with another one, other rows.
    """
    rows = [_row(prefix, number) for number in range(1, good + 1)]
    replied = sum(bool(row[5]) for row in rows)
    bad = [
        (*_row(prefix, good + 1)[:4], "长" * (LONGEST_TEXT + 1), "", ""),
        (*_row(prefix, good + 2)[:3], "昨天下午", "时间不成样子", "", ""),
        (*_row(prefix, 1)[:4], "同一编号,另一内容", "", ""),
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([_HEADER, *rows, *rows[:repeated], *bad])
    return Made(path, good + repeated + len(bad), good, repeated, len(bad), good + 3 * replied)


def _row(prefix: str, number: int) -> tuple[str, ...]:
    received = _FIRST + timedelta(minutes=7 * number)
    # Two date formats in one column, full-width spaces and lines: as in real exports.
    shown = f"{received:%Y/%m/%d %H:%M}" if number % 2 else f"{received:%Y-%m-%d %H:%M:%S}"
    text = f"\n\t\t第{number}件:小区供暖不足,\u3000望解决。𠮷\n\t\t"
    reply = (f"您好,第{number}件已核实。", f"{received + timedelta(days=9):%Y-%m-%d %H:%M:%S}")
    return (
        f"{prefix}{number:06d}",
        f"用户{number:05d}",
        f"供暖问题({number})",
        shown,
        text,
        *(reply if number % 3 else ("", "")),
    )
