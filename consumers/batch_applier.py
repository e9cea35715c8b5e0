"""Applies a batch 批次: to the database, and to the dead-letter topic for what is poison."""

from __future__ import annotations

import logging

from consumers import implausible_dates, outcomes
from consumers.apply_batch import apply_batch
from consumers.batch import Batch
from consumers.dead_letter_limits import DeadLetterGuard
from consumers.dead_letters import DeadLetterTopic
from node.postgres.connection import Connection, Database
from node.runtime.clock import Clock
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store.clock_skew import ClockCheck

log = logging.getLogger(__name__)


class BatchApplier:
    """Applies the batches of one session; used by the thread that applies, one batch at a time."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        database: Database,
        dead_letters: DeadLetterTopic,
    ) -> None:
        self._node = settings.node
        self._metrics = metrics
        self._clock = clock
        self._database = database
        self._dead_letters = dead_letters
        self._guard = DeadLetterGuard(settings)
        self._clock_check = ClockCheck(settings, clock)
        self._clock_bound = settings.clock_bound_seconds

    def apply(self, batch: Batch) -> None:
        """Apply a batch wholly or not at all, after its poison is on the dead-letter topic.

        Raises `StopPartition` if there is too much poison, `Fenced` if another process applied it,
        and what the driver and Kafka's client raise.
        """
        connection = self._database.connection()
        self._guard.check(connection, batch)
        self._dead_letters.publish(batch.poison)
        doubts = self._doubts(connection, batch)
        with self._metrics.consumer_batch_seconds.time():
            results = apply_batch(connection, self._node, batch, doubts)
        new = {one.event.event_id for one in results if one.event is not None and one.is_new}
        for source, number in implausible_dates.by_source(doubts, new).items():
            self._metrics.events_implausible_time.labels(source).inc(number)
        self._metrics.consumer_batch_records.observe(len(batch))
        outcomes.count(self._metrics, results, self._clock())
        for poison in batch.poison:
            log.warning("dead letter: %s", poison)

    def _doubts(self, connection: Connection, batch: Batch) -> list[implausible_dates.Doubt]:
        with connection, connection.cursor() as cursor:
            now = self._clock_check.true_now(cursor)
        return implausible_dates.doubts(batch, now, self._clock_bound)
