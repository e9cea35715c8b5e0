"""What the consumer tells 上报: lag to its metrics, offsets to Kafka for lag tools."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata
from kafka import errors as kafka_errors

from consumers.assignment import Assignment
from consumers.lag import Lag
from consumers.stopping import DEAD_LETTERS, UNREADABLE, Stopped
from node import kafka
from node.clock import Clock
from node.kafka import TopicPartition
from node.metrics import Metrics

log = logging.getLogger(__name__)

# A partition that is fetched tells its end by itself; one that stands still is asked.
_MEASURE_SECONDS = 5.0
_MEASURE_LIMIT_MS = 3_000
_COMMIT_SECONDS = 1.0


class Reporter:
    """Follows one session; nothing it does can hold up or lose a record."""

    def __init__(
        self, client: KafkaConsumer, assignment: Assignment, metrics: Metrics, clock: Clock
    ) -> None:
        self._client = client
        self._assignment = assignment
        self._metrics = metrics
        self._lag = Lag(metrics, clock)
        self._measure_due = self._commit_due = 0.0
        self._rebalances = 0

    def settled(self) -> None:
        """Positions were taken from Postgres."""
        self._lag.hold(self._assignment.positions)
        self._metrics.consumer_rebalances.inc(self._assignment.rebalances - self._rebalances)
        self._rebalances = self._assignment.rebalances
        self._measure_due = 0.0

    def forget(self) -> None:
        """This process holds no partition any more: another one shows them."""
        self._lag.hold({})

    def begins(self, polled: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """These records are being applied, and nothing before them is left."""
        for partition, records in polled.items():
            self._lag.polled(partition, records[0].timestamp)

    def applied(
        self,
        polled: Mapping[TopicPartition, Sequence[Any]],
        ends: Mapping[TopicPartition, int | None],
    ) -> None:
        """These records are committed in Postgres, and the positions of `ends`, where their
        partitions ended when they were polled; a partition may have moved without records."""
        for partition, end in ends.items():
            records = polled.get(partition)
            newest = records[-1].timestamp if records else None
            self._lag.applied(partition, self._position(partition), newest)
            if end is not None:
                self._lag.measured(partition, self._position(partition), end)

    def report_if_due(self) -> None:
        """Commit about every second, measure every few."""
        now = time.monotonic()
        if now >= self._commit_due:
            self._commit_due = now + _COMMIT_SECONDS
            self.commit()
        if now >= self._measure_due:
            self._measure_due = now + _MEASURE_SECONDS
            self._measure()

    def commit(self) -> None:
        """Tell Kafka where we stand; failure is harmless and left to the next time."""
        offsets = {
            partition: OffsetAndMetadata(offset, "", -1)
            for partition, offset in self._assignment.positions.items()
            if partition not in self._assignment.stopped
        }
        if offsets:
            self._client.commit_async(offsets)

    def _measure(self) -> None:
        # Asked for one that nobody leads, the client tells the end of none.
        stopped = self._assignment.stopped
        held = [one for one in self._assignment.positions if _is_told(stopped.get(one))]
        if not held:
            return
        try:
            # An open transaction holds us up, so what waits for its end is lag as well.
            ends = kafka.high_watermarks(self._client, held, timeout_ms=_MEASURE_LIMIT_MS)
        except kafka_errors.KafkaError as error:
            log.warning("Kafka does not tell the ends of our partitions: %s", type(error).__name__)
            self._metrics.dependency_up.labels("kafka").set(0)
            return
        self._metrics.dependency_up.labels("kafka").set(1)
        for partition, end in ends.items():
            self._lag.measured(partition, self._position(partition), end)

    def _position(self, partition: TopicPartition) -> int:
        return self._assignment.positions[partition]


def _is_told(stopped: Stopped | None) -> bool:
    return stopped is None or stopped.reason in (DEAD_LETTERS, UNREADABLE)
