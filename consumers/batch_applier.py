"""Applies a batch 批次: to the database, and to the dead-letter topic for what is poison."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from consumers import plausibility
from consumers.applying import apply_batch
from consumers.batch import Advance, Batch, Here, decoded
from consumers.counting import count
from consumers.dead_letters import DeadLetterTopic
from consumers.guarding import Guard
from consumers.isolating import apply_isolating
from consumers.limits import limits_of
from node.clock import Clock
from node.clock_skew import ClockCheck
from node.metrics import Metrics
from node.postgres import Connection, Database
from node.precompute import Precompute
from node.reconciliation.state import is_recovering
from node.settings import Settings

log = logging.getLogger(__name__)


class BatchApplier:
    """Decodes and applies the batches of one session; `apply` belongs to the pipeline's thread."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        database: Database,
        dead_letters: DeadLetterTopic,
        ahead: Database,
    ) -> None:
        self.node = settings.node
        self.most_records = settings.batch_records
        self._precompute = Precompute(settings.node, ahead)
        self._metrics = metrics
        self._clock = clock
        self._dead_letters = dead_letters
        self._guard = Guard(limits_of(settings))
        self._clock_check = ClockCheck(settings, clock)
        self._clock_bound = settings.clock_bound_seconds
        self.database = database

    def decoded(
        self,
        records: Sequence[Any],
        advances: Sequence[Advance],
        may_come_home: Callable[[str], bool],
    ) -> Batch:
        """Decode the records, pack them for the ledger and compute the changes of their cases."""
        batch = decoded(records, advances, Here(self.node, self._clock()), may_come_home)
        events = [arrival.event for arrival in batch.arrivals]
        return batch.with_precomputed(self._precompute.batch(events, batch.read_at))

    def rest(self) -> None:
        """There is nothing to read at the moment."""
        self._precompute.forget()

    def is_recovering(self) -> bool:
        """Return whether the node recovers, so that its own events are accepted from others."""
        connection = self.database.connection()
        with connection, connection.cursor() as cursor:
            return is_recovering(cursor)

    def apply(self, batch: Batch) -> None:
        """Apply a batch; a record that only Postgres refuses is found and dead-lettered."""
        apply_isolating(batch, self._apply_once)

    def _apply_once(self, batch: Batch) -> None:
        connection = self.database.connection()
        self._guard.check(connection, batch)
        self._dead_letters.publish(batch.poison)
        doubtful = self._doubts(connection, batch)
        with self._metrics.consumer_batch_seconds.time():
            applied = apply_batch(connection, self.node, batch, doubtful)
        for source, number in plausibility.by_source(doubtful, applied.fresh).items():
            self._metrics.events_implausible_time.labels(source).inc(number)
        self._metrics.consumer_batch_records.observe(len(batch))
        count(self._metrics, batch, applied, self._clock())
        for poison in batch.poison:
            log.warning("dead letter: %s", poison)

    def _doubts(self, connection: Connection, batch: Batch) -> list[plausibility.Doubt]:
        with connection, connection.cursor() as cursor:
            now = self._clock_check.true_now(cursor)
        return plausibility.doubts(batch, now, self._clock_bound)
