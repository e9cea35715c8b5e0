"""The readings of the monitor page 监控看板, each computed on its own and cached for a while.

live       flows, outbox, dead letters, cases to look at,   every few seconds
           stopped partitions
lags       of both directions, asked of Kafka               every few seconds
deadlines  overdue and soon due, by clock and by node
figures    indicators of the year, what rises, the facts    every minute: they cost more

A page never waits for a reading: it gets the last one, and an old reading is computed again in a
thread, once for however many ask. Where no reading is there in time, the page says so.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar

from cases.regulations import RULE_SETS, regulation
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
from node.runtime.errors import PetitionLinkError, classified
from node.runtime.settings import Settings

log = logging.getLogger(__name__)

_LIVE_SECONDS: Final = 2.0
_LAG_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 10.0
_FIGURE_SECONDS: Final = 60.0
# A page waits no longer than this; a later reading comes with the next refresh.
_PATIENCE_SECONDS: Final = 0.8
SOON_HOURS: Final = (24, 72)
RISING_DAYS: Final = 30
_OLDEST: Final = 10
_RISING_ROWS: Final = 8
RISING_BY: Final = {"category": "内容分类", "area": "问题属地", "channel": "信访形式"}

T = TypeVar("T")


class CachedValue(NamedTuple, Generic[T]):
    """The last answer; `value` is None before the first one and after a failure."""

    value: T | None
    problem: Exception | None = None
    at: float = float("-inf")


class CachedReading(Generic[T]):
    """One reading, computed again when it is older than `seconds`."""

    def __init__(self, name: str, compute: Callable[[], T], seconds: float) -> None:
        self._name = name
        self._compute = compute
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: threading.Event | None = None
        self.reading: CachedValue[T] = CachedValue(None)

    def refresh(self) -> threading.Event:
        """Start a computation if the reading is old; the event is set when it is fresh."""
        with self._lock:
            if self._running is not None:
                return self._running
            done = threading.Event()
            if time.monotonic() - self.reading.at < self._seconds:
                done.set()
                return done
            self._running = done
        threading.Thread(target=self._run, args=(done,), name=self._name, daemon=True).start()
        return done

    def _run(self, done: threading.Event) -> None:
        try:
            self.reading = CachedValue(self._compute(), None, time.monotonic())
        except Exception as error:
            if not isinstance(error, PetitionLinkError) and classified(error) is None:
                log.exception("%s ended by a defect", self._name)
            self.reading = CachedValue(None, error, time.monotonic())
        finally:
            with self._lock:
                self._running = None
            done.set()


class Dashboard:
    """The readings of one node; safe for many threads."""

    def __init__(self, settings: Settings, connections: Connections) -> None:
        self._node = settings.node
        self._connections = connections
        self.live = self._cached("live", self._live, _LIVE_SECONDS)
        self.lags = CachedReading("lags", lambda: lags(settings, connections), _LAG_SECONDS)
        self.deadlines = self._cached("deadlines", _deadlines, _DEADLINE_SECONDS)
        self.figures = self._cached("figures", _figures, _FIGURE_SECONDS)

    def refresh(self) -> None:
        """Refresh all readings at once, and wait for them together for less than a second."""
        readings: list[CachedReading[Any]] = [self.live, self.lags, self.deadlines, self.figures]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for done in [reading.refresh() for reading in readings]:
            done.wait(max(0.0, deadline - time.monotonic()))

    def _cached(
        self, name: str, read: Callable[[Connection], dict[str, Any]], seconds: float
    ) -> CachedReading[dict[str, Any]]:
        def compute() -> dict[str, Any]:
            with self._connections() as connection:
                return read(connection)

        return CachedReading(name, compute, seconds)

    def _live(self, connection: Connection) -> dict[str, Any]:
        live = {"flows": flows(connection, self._node), "stopped": stopped_partitions(connection)}
        with connection, connection.cursor() as cursor:
            return {**live, "dead_letters": open_dead_letters(cursor), **attention(cursor)}


def clock_names() -> dict[str, str]:
    """Return the Chinese name of each duty, from the newest rule set that has it."""
    names = {
        rule.id: rule.chinese
        for rule_set in RULE_SETS
        for rule in regulation(rule_set).clocks.values()
    }
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
