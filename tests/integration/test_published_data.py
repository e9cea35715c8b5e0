"""Published figures 公开数据: what the system says of 1,400 answered messages, computed twice.

The other computation uses the standard library alone, on the file itself: no reader, no rule, no
clock and no calendar of ours. Both must agree on every case, not only in their sums.
"""

import csv
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from support.real_data import MESSAGES_WITH_REPLIES, needs_real_data
from support.world import rows

from node.keys.office import open_office
from node.postgres.connection import connected
from node.queries.figures.indicators import indicators
from node.runtime.settings import Settings
from producers.register import load_mapping, read_register
from producers.register_import.import_rows import ImportTotals, import_rows

CHINA = ZoneInfo("Asia/Shanghai")
NODE = "370000"
EVER = date(2005, 1, 1), date(2035, 12, 31)
MESSAGES = 1400

pytestmark = needs_real_data


class Message(NamedTuple):
    """A message and its reply, both in Chinese time."""

    written: datetime
    answered: datetime

    def answered_within(self, days: int) -> bool:
        """Count until 24:00 of the last day; the first day is not counted."""
        last = self.written.date() + timedelta(days=days)
        return self.answered < datetime.combine(last + timedelta(days=1), time(), CHINA)

    def due(self, days: int) -> datetime:
        """24:00 of the last day."""
        return datetime.combine(self.written.date() + timedelta(days=days + 1), time(), CHINA)


def _moment(text: str) -> datetime:
    day, _, clock = text.strip().replace("-", "/").partition(" ")
    hours, minutes, seconds = (*map(int, clock.split(":")), 0, 0)[:3] if clock else (0, 0, 0)
    year, month, day_of_month = map(int, day.split("/"))
    return datetime(year, month, day_of_month, hours, minutes, seconds, tzinfo=CHINA)


@pytest.fixture(scope="module")
def messages() -> dict[str, Message]:
    """Return all messages of the file by their number."""
    with MESSAGES_WITH_REPLIES.open(encoding="utf-8-sig", newline="") as file:
        found = {
            row["留言编号"]: Message(_moment(row["留言时间"]), _moment(row["答复时间"]))
            for row in csv.DictReader(file)
        }
    assert len(found) == MESSAGES
    return found


@pytest.fixture
def node(fresh_settings: Callable[..., Settings]) -> Settings:
    """A node that imported the messages, with their real times."""
    settings = fresh_settings(NODE)
    totals = ImportTotals()
    with (
        read_register(MESSAGES_WITH_REPLIES, load_mapping("messages")) as found,
        connected(settings.dsn, "test") as connection,
    ):
        for chunk in import_rows(connection, open_office(settings), found):
            totals.add(chunk.totals)
    assert totals == ImportTotals(read=MESSAGES, registered=MESSAGES, events=4 * MESSAGES)
    return settings


_TIMES = """
    select i.origin_number, c.received_at, c.accepted_at, c.decided_at, c.served_at
    from petition_case c join imported_row i using (case_id)
"""
_REPLY_CLOCKS = """
    select i.origin_number, k.clock, k.started_at, k.due_at, k.met_at, k.ended_at
    from case_clock k join imported_row i using (case_id) where k.clock in ('D06', 'D07', 'D14')
"""


def test_the_figures_are_confirmed_case_by_case_by_another_computation(
    node: Settings, messages: dict[str, Message]
) -> None:
    times = {number: found for number, *found in rows(node, _TIMES)}
    assert times == {
        number: [one.written, one.written, one.answered, one.answered]
        for number, one in messages.items()
    }
    clocks = {number: found for number, *found in rows(node, _REPLY_CLOCKS)}
    assert clocks == {
        number: ["D06", one.written, one.due(60), one.answered, one.answered]
        for number, one in messages.items()
    }
    on_time = {number for number, (_, _, due, met, _) in clocks.items() if met <= due}
    assert on_time == {number for number, one in messages.items() if one.answered_within(60)}
    _check_indicators(node, messages)


def _check_indicators(node: Settings, messages: dict[str, Message]) -> None:
    with connected(node.dsn, "test") as connection:
        found = indicators(connection, *EVER)
        last_years = indicators(connection, date(2019, 1, 1), date(2019, 12, 31))
    within = {
        days: sum(one.answered_within(days) for one in messages.values()) for days in (15, 60)
    }
    total = found["total"]
    for days in (15, 60):
        share = total[f"answered_within_{days}_days"]
        assert (share["numerator"], share["denominator"]) == (within[days], MESSAGES)
        assert share["value"] == pytest.approx(within[days] / MESSAGES, abs=1e-6)
    reply = total["on_time_reply"]
    assert (reply["numerator"], reply["denominator"]) == (within[60], MESSAGES)
    assert reply["parts"] == {
        "on_time": within[60],
        "late": MESSAGES - within[60],
        "not_yet_due": 0,
        "overdue_open": 0,
    }
    # The published whole has 61.5 % and 94.4 %; half of it cannot be far away.
    assert 0.58 < within[15] / MESSAGES < 0.65
    assert 0.92 < within[60] / MESSAGES < 0.97
    _check_a_year(last_years["total"], messages)


def _check_a_year(total: dict[str, dict[str, int]], messages: dict[str, Message]) -> None:
    """Each indicator's own period basis: registration, or the instant when the reply was due."""
    registered = [one for one in messages.values() if one.written.year == 2019]
    # Due at 24:00 of a day, which belongs to that day.
    due = [one for one in messages.values() if (one.written + timedelta(days=60)).year == 2019]
    answered = total["answered_within_15_days"]
    assert answered["numerator"] == sum(one.answered_within(15) for one in registered)
    assert answered["denominator"] == len(registered)
    assert total["on_time_reply"]["numerator"] == sum(one.answered_within(60) for one in due)
    assert total["on_time_reply"]["denominator"] == len(due)
