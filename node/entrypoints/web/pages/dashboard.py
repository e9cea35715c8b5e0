"""What stands on the monitor page 监控看板: each part computed apart, remembered for a while.

live       flows, outbox, dead letters, cases to look at,   every few seconds
           stopped partitions
lags       of both directions, asked of Kafka               every few seconds
deadlines  overdue and soon due, by clock and by node
figures    indicators of the year, what rises, the facts    every minute: they cost more
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from cases.regulations import RULE_SETS, regulation
from node.entrypoints.web.pages.cached_readings import Remembered, refresh_all
from node.entrypoints.web.pages.link_lag import lags
from node.entrypoints.web.pages.open_case import Connections
from node.postgres.connection import Connection
from node.queries.deadlines import Span, deadline_counts, deadlines, due_within, duties, overdue
from node.queries.figures.indicators import indicators
from node.queries.figures.overview import attention, overview
from node.queries.figures.periods import today
from node.queries.figures.rising import rising
from node.queries.flows import flows, open_dead_letters
from node.queries.status import stopped_partitions
from node.runtime.settings import Settings

_LIVE_SECONDS: Final = 2.0
_LAG_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 10.0
_FIGURE_SECONDS: Final = 60.0
# A page never waits longer than this; what is not there by then comes with the next refresh.
_PATIENCE_SECONDS: Final = 0.8
SOON_HOURS: Final = (24, 72)
RISING_DAYS: Final = 30
_OLDEST: Final = 10
_RISING_ROWS: Final = 8
RISING_BY: Final = {"category": "内容分类", "area": "问题属地", "channel": "信访形式"}


class Board:
    """The readings of one node; safe for many threads."""

    def __init__(self, settings: Settings, connections: Connections) -> None:
        self._node = settings.node
        self._connections = connections
        self.live = self._remembered("live", self._live, _LIVE_SECONDS)
        self.lags = Remembered("lags", lambda: lags(settings, connections), _LAG_SECONDS)
        self.deadlines = self._remembered("deadlines", _deadlines, _DEADLINE_SECONDS)
        self.figures = self._remembered("figures", _figures, _FIGURE_SECONDS)

    def refresh(self) -> None:
        """Bring the readings up to date as far as that is done within a second."""
        several: list[Remembered[Any]] = [self.live, self.lags, self.deadlines, self.figures]
        refresh_all(several, _PATIENCE_SECONDS)

    def _remembered(
        self, name: str, read: Callable[[Connection], dict[str, Any]], seconds: float
    ) -> Remembered[dict[str, Any]]:
        def compute() -> dict[str, Any]:
            with self._connections() as connection:
                return read(connection)

        return Remembered(name, compute, seconds)

    def _live(self, connection: Connection) -> dict[str, Any]:
        found = flows(connection, self._node)
        stopped = stopped_partitions(connection)
        with connection, connection.cursor() as cursor:
            return {
                "flows": found,
                "stopped": stopped,
                "dead_letters": open_dead_letters(cursor),
                **attention(cursor),
            }


def clock_names() -> dict[str, str]:
    """Each duty with its Chinese name, as the newest rule set that has it calls it."""
    names = {}
    for rule_set in RULE_SETS:
        for rule in regulation(rule_set).clocks.values():
            names[rule.id] = rule.chinese
    return {clock: names[clock] for clock in duties()}


def _deadlines(connection: Connection) -> dict[str, Any]:
    now = datetime.now(UTC)
    spans: dict[str, Span] = {"overdue": overdue(now)}
    spans |= {f"within_{hours}": due_within(now, hours) for hours in SOON_HOURS}
    by_clock: dict[str, Counter[str]] = {}
    by_node: dict[str, Counter[str]] = {}
    for name, span in spans.items():
        for row in deadline_counts(connection, span):
            by_clock.setdefault(row["clock"], Counter())[name] += row["running"]
            by_node.setdefault(row["owner"], Counter())[name] += row["running"]
    return {
        "now": now,
        "total": sum(by_clock.values(), Counter()),
        "by_clock": dict(sorted(by_clock.items())),
        "by_node": dict(sorted(by_node.items(), key=_worst_first)),
        "oldest": deadlines(connection, spans["overdue"], limit=_OLDEST),
    }


def _worst_first(item: tuple[str, Counter[str]]) -> tuple[int, str]:
    node, counts = item
    return -counts["overdue"], node


def _figures(connection: Connection) -> dict[str, Any]:
    last = today()
    first = date(last.year, 1, 1)
    return {
        "indicators": indicators(connection, first, last),
        "rising": {
            by: rising(connection, last, RISING_DAYS, by, limit=_RISING_ROWS) for by in RISING_BY
        },
        "overview": overview(connection, first, last),
    }
