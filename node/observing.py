"""The observer 观测: figures that only the database knows, read every few seconds.

Apart from the loops, so that they go on telling while a loop is stuck. Cases are counted less
often than the outbox: deadlines are a matter of days, and counting them reads more.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from cases.nodes import NATIONAL, PROVINCES
from cases.topics import produced_topics
from node.clock import Clock, now_micros
from node.lifecycle import Stop
from node.metrics import Metrics
from node.postgres import Connection, Cursor, connect, own_database
from node.queries.deadlines import cases_by_clock, due_within, overdue
from node.queries.overview import attention
from node.settings import Settings

_PERIOD_SECONDS = 2.0
_CASES_EVERY = 15  # looks, thus half a minute
# The label of cases_due → hours: a day, a long weekend, a week.
_WITHIN = {"24h": 24, "72h": 72, "168h": 168}

_PENDING = """
    select topic, count(*), (extract(epoch from min(enqueued_at)) * 1000000)::bigint
    from outbox where published_at is null group by topic
"""
_DEAD = "select reason, count(*) from dead_letter where status = 'open' group by reason"
# Of any database: the horizon of a snapshot is that of the whole cluster.
_OLDEST_WRITE = """
    select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8
    from pg_stat_activity where backend_xid is not null
"""


class Observer:
    """Keeps the database's gauges; a worker for `node.lifecycle`."""

    name = "observer"

    def __init__(self, settings: Settings, metrics: Metrics, clock: Clock = now_micros) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._oldest: dict[str, int] = {}
        self._looks = 0
        self._expect_nodes()

    def session(self, stop: Stop) -> None:
        """Look every few seconds until `stop`."""
        up = self._metrics.dependency_up.labels("postgres")
        up.set(0)
        with closing(connect(self._settings.dsn, "observer")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
            try:
                while not stop.is_set():
                    self._look(connection)
                    up.set(1)
                    stop.wait(_PERIOD_SECONDS)
            except Exception:
                up.set(0)
                raise

    def _expect_nodes(self) -> None:
        if self._settings.node == NATIONAL:
            for code in PROVINCES:
                self._metrics.nodes_expected.labels(code).set(1)
        for topic in produced_topics(self._settings.node):
            self._metrics.outbox_oldest_pending_seconds.labels(topic).set_function(
                partial(self._oldest_seconds, topic)
            )

    def _oldest_seconds(self, topic: str) -> float:
        since = self._oldest.get(topic)
        return 0.0 if since is None else max(0.0, (self._clock() - since) / 1_000_000)

    def _look(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            self._look_at_queues(cursor)
            if self._looks % _CASES_EVERY == 0:
                self._look_at_cases(cursor)
        self._looks += 1

    def _look_at_queues(self, cursor: Cursor) -> None:
        cursor.execute(_PENDING)
        pending = {topic: (count, oldest) for topic, count, oldest in cursor}
        self._oldest = {topic: oldest for topic, (_, oldest) in pending.items()}
        for topic in produced_topics(self._settings.node):
            count = pending.get(topic, (0, 0))[0]
            self._metrics.outbox_pending_records.labels(topic).set(count)
        cursor.execute(_OLDEST_WRITE)
        ((oldest,),) = cursor.fetchall()
        self._metrics.oldest_write_seconds.set(max(0.0, oldest))
        cursor.execute(_DEAD)
        self._metrics.dead_letters_open.clear()
        for reason, count in cursor:
            self._metrics.dead_letters_open.labels(reason).set(count)

    def _look_at_cases(self, cursor: Cursor) -> None:
        metrics, now = self._metrics, datetime.fromtimestamp(self._clock() / 1_000_000, UTC)
        for clock, count in cases_by_clock(cursor, overdue(now)).items():
            metrics.cases_overdue.labels(clock).set(count)
        for within, hours in _WITHIN.items():
            for clock, count in cases_by_clock(cursor, due_within(now, hours)).items():
                metrics.cases_due.labels(clock, within).set(count)
        found = attention(cursor)
        metrics.cases_unhandled.clear()
        for state, count in found["unhandled"].items():
            metrics.cases_unhandled.labels(state).set(count)
        metrics.cases_in_conflict.set(found["in_conflict"])
        metrics.cases_incomplete.set(found["incomplete"])
