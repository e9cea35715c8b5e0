"""The observer 观测 sets the gauges that come from the database, every few seconds.

It runs apart from the loops, so that it works while one is stuck. Cases are counted less often
than the outbox: deadlines take days, and counting reads more rows.
"""

import logging
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from math import nan

from cases.nodes import NATIONAL, PROVINCES
from node.kafka.topic_names import own_topic, produced_topics
from node.postgres.connection import Connection, Cursor, connect, own_database
from node.postgres.schema_version import check_version, schema_version
from node.postgres.statements import read_value
from node.postgres.synchronous_standby import description, unconfirmed_seconds
from node.queries.deadlines import cases_by_clock, due_within, overdue
from node.queries.figures.overview import attention
from node.runtime.memory import give_back
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from node.store import command_gate
from node.store.clock_skew import ClockCheck
from schemas.instants import Clock, now_micros

log = logging.getLogger(__name__)

_CASES_EVERY = 15  # looks, thus half a minute
# The labels of cases_due and their hours: a day, a long weekend, a week.
_WITHIN = {"24h": 24, "72h": 72, "168h": 168}

_PENDING = """
    select topic, count(*), (extract(epoch from min(enqueued_at)) * 1000000)::bigint,
           count(*) filter (where not resent),
           (extract(epoch from min(enqueued_at) filter (where not resent)) * 1000000)::bigint
    from outbox where published_at is null group by topic
"""
_NONE = (0, None, 0, None)
_BACKFILL = "select count(*) from petition_case, own_topic_state where case_id > backfill_after"
_DEAD = """
    select reason, count(*), (extract(epoch from min(created_at)) * 1000000)::bigint
    from dead_letter where status = 'open' group by reason
"""
# By Postgres's own clock; vacuum does not count, because it delays nobody.
_OLDEST_TRANSACTION = """
    select coalesce(extract(epoch from clock_timestamp() - min(began)), 0)::float from (
        select xact_start from pg_stat_activity
        where pid <> pg_backend_pid() and backend_type <> 'autovacuum worker'
        union all select prepared from pg_prepared_xacts
    ) open_now (began)
"""
_WITHOUT_PART = "select count(*) from petition_case where not participants @> array[%s]"


class Observer:
    """A worker for `node.runtime.supervisor` that sets the gauges of the database."""

    name = "observer"

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock = now_micros,
        period_seconds: float = 2.0,
    ) -> None:
        self._period_seconds = period_seconds
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._oldest: dict[str, int] = {}
        self._oldest_dead: int | None = None
        self._knows = False
        self._oldest_only_here: int | None = None
        self._looks = 0
        self._clock_check = ClockCheck(settings, clock)
        self._clock_told = False
        self._expect_nodes()
        metrics.dead_letter_oldest_open_seconds.set_function(
            lambda: self._seconds_since(self._oldest_dead)
        )
        metrics.own_events_only_here_oldest_seconds.set_function(
            lambda: self._seconds_since(self._oldest_only_here)
        )

    def session(self, stop: Stop) -> None:
        """Read every few seconds until `stop`."""
        up = self._metrics.dependency_up.labels("postgres")
        up.set(0)
        with closing(connect(self._settings.dsn, "observer")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
            try:
                while not stop.is_set():
                    up.set(self._look(connection))
                    stop.wait(self._period_seconds)
            except Exception:
                up.set(0)
                self._metrics.takes_commands.set(0)
                self._forget()
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
        return self._seconds_since(self._oldest.get(topic))

    def _seconds_since(self, micros: int | None) -> float:
        if not self._knows:
            return nan
        return 0.0 if micros is None else max(0.0, (self._clock() - micros) / 1_000_000)

    def _look(self, connection: Connection) -> bool:
        """Read what is due; return True if Postgres also confirms commits."""
        with connection.cursor() as cursor:
            # Processes that only read, or wait, notice a migration here and end.
            check_version(cursor, self._settings.node, schema_version())
            self._look_at_queues(cursor)
            self._look_at_the_clock(cursor)
            if self._looks % _CASES_EVERY == 0:
                self._look_at_cases(cursor)
                give_back()
            unconfirmed = unconfirmed_seconds(cursor)
        self._looks += 1
        self._knows = True
        if unconfirmed:
            log.warning("observer: %s", description(unconfirmed))
        return not unconfirmed

    def _forget(self) -> None:
        """Set what cannot be read now to NaN, or remove the samples if their labels vary."""
        metrics = self._metrics
        self._knows, self._looks = False, 0
        for topic in produced_topics(self._settings.node):
            metrics.outbox_pending_records.labels(topic).set(nan)
        for labelled in (
            *(metrics.dead_letters_open, metrics.cases_unhandled),
            *(metrics.cases_overdue, metrics.cases_due),
        ):
            labelled.clear()
        for gauge in (
            metrics.postgres_oldest_transaction_seconds,
            metrics.cases_in_conflict,
            metrics.cases_incomplete,
            *([metrics.cases_without_part] if self._settings.node != NATIONAL else []),
        ):
            gauge.set(nan)

    def _look_at_queues(self, cursor: Cursor) -> None:
        cursor.execute(_PENDING)
        pending = {topic: figures for topic, *figures in cursor}
        self._oldest = {topic: oldest for topic, (_, oldest, *_) in pending.items()}
        *_, only_here, self._oldest_only_here = pending.get(own_topic(self._settings.node), _NONE)
        self._metrics.own_events_only_here.set(only_here)
        for topic in produced_topics(self._settings.node):
            count = pending.get(topic, _NONE)[0]
            self._metrics.outbox_pending_records.labels(topic).set(count)
        self._look_at_dead_letters(cursor)
        seconds = read_value(cursor, _OLDEST_TRANSACTION)
        self._metrics.postgres_oldest_transaction_seconds.set(seconds)
        self._metrics.takes_commands.set(command_gate.confirmation(cursor) in command_gate.OPEN)

    def _look_at_the_clock(self, cursor: Cursor) -> None:
        reading = self._clock_check.reading(cursor)
        seconds = reading.seconds
        self._metrics.clock_skew_seconds.set(nan if seconds is None else seconds)
        wrong = reading.exceeds(self._settings.clock_bound_seconds)
        if wrong != self._clock_told:
            self._clock_told = wrong
            if wrong:
                log.error("%s: set it (NTP); routines wait, nothing was lost", reading)
            else:
                log.warning("the clock of this machine is right again: %s", reading)

    def _look_at_dead_letters(self, cursor: Cursor) -> None:
        cursor.execute(_DEAD)
        rows = cursor.fetchall()
        self._metrics.dead_letters_open.clear()
        for reason, count, _ in rows:
            self._metrics.dead_letters_open.labels(reason).set(count)
        self._oldest_dead = min((oldest for *_, oldest in rows), default=None)

    def _look_at_cases(self, cursor: Cursor) -> None:
        metrics, now = self._metrics, datetime.fromtimestamp(self._clock() / 1_000_000, UTC)
        for clock, count in cases_by_clock(cursor, overdue(now)).items():
            metrics.cases_overdue.labels(clock).set(count)
        for within, hours in _WITHIN.items():
            for clock, count in cases_by_clock(cursor, due_within(now, hours)).items():
                metrics.cases_due.labels(clock, within).set(count)
        counts = attention(cursor)
        metrics.cases_unhandled.clear()
        for state, count in counts["unhandled"].items():
            metrics.cases_unhandled.labels(state).set(count)
        if (node := self._settings.node) != NATIONAL:
            metrics.cases_without_part.set(read_value(cursor, _WITHOUT_PART, (node,)))
        metrics.own_backfill_cases.set(read_value(cursor, _BACKFILL))
        metrics.cases_in_conflict.set(counts["in_conflict"])
        metrics.cases_incomplete.set(counts["incomplete"])
