"""The lag 积压 of the partitions held is reported in records and in seconds.

Only the consumer knows the seconds exactly: they are the age of the oldest record that is not
applied. They are computed when they are read, so that they grow while nothing moves. The offsets
are also committed to Kafka, for lag tools.
"""

import logging
import time
from collections.abc import Mapping
from functools import partial

from kafka import KafkaConsumer, OffsetAndMetadata
from kafka import errors as kafka_errors

from consumers.batch import Polled
from consumers.group_membership import Assignment
from consumers.policy import ConsumerPolicy
from consumers.stopped_partitions import DEAD_LETTERS, UNREADABLE, Stopped
from node.kafka import library_patches
from node.kafka.clients import TopicPartition
from node.runtime.metrics import Metrics
from schemas.instants import Clock

log = logging.getLogger(__name__)


def lag_records(position: int, end: int) -> int:
    """Return the number of offsets from the next one to apply up to the partition's end."""
    return max(0, end - position)


def lag_seconds(oldest_micros: int, now: int) -> float:
    """Return the age of the oldest record that is not applied; never negative."""
    return max(0.0, (now - oldest_micros) / 1_000_000)


class LagGauges:
    """The lag of each held partition as metrics; the metrics server's thread reads it."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._behind_since: dict[TopicPartition, int] = {}
        self._shown: set[TopicPartition] = set()

    def hold(self, positions: Mapping[TopicPartition, int]) -> None:
        """Show the lag of these partitions and of no others."""
        for gone in self._shown - positions.keys():
            self._behind_since.pop(gone, None)
            metrics = self._metrics
            for gauge in (
                *(metrics.consumer_lag_records, metrics.consumer_lag_seconds),
                metrics.consumer_applied_offset,
            ):
                gauge.remove(*_labels(gone))
        for partition, offset in positions.items():
            self._position(partition, offset)
            self._metrics.consumer_lag_seconds.labels(*_labels(partition)).set_function(
                partial(self.seconds, partition)
            )
        self._shown = {*positions}

    def polled(self, partition: TopicPartition, oldest_millis: int) -> None:
        """Note the timestamp of the oldest record that is polled and not applied."""
        self._behind_since[partition] = oldest_millis * 1000

    def applied(
        self, partition: TopicPartition, next_offset: int, newest_millis: int | None
    ) -> None:
        """Note that everything before `next_offset` is committed.

        `newest_millis` is the timestamp of the last record before it, None if there was none. Later
        records are at least as new, so the age that is shown is not too small.
        """
        if newest_millis is not None:
            self._behind_since[partition] = newest_millis * 1000
        self._position(partition, next_offset)

    def measured(self, partition: TopicPartition, position: int, end: int) -> None:
        """Note the end of the partition, read from Kafka after `position` was known."""
        records = lag_records(position, end)
        self._metrics.consumer_lag_records.labels(*_labels(partition)).set(records)
        if records == 0:
            self._behind_since.pop(partition, None)
        else:
            self._behind_since.setdefault(partition, self._clock())

    def seconds(self, partition: TopicPartition) -> float:
        since = self._behind_since.get(partition)
        return 0.0 if since is None else lag_seconds(since, self._clock())

    def _position(self, partition: TopicPartition, offset: int) -> None:
        self._metrics.consumer_applied_offset.labels(*_labels(partition)).set(offset)


def _labels(partition: TopicPartition) -> tuple[str, str]:
    return partition.topic, str(partition.partition)


class LagReporter:
    """Reports the lag of a session; its failures never hold up or lose a record."""

    def __init__(
        self,
        client: KafkaConsumer,
        assignment: Assignment,
        metrics: Metrics,
        clock: Clock,
        policy: ConsumerPolicy,
    ) -> None:
        self._client = client
        self._assignment = assignment
        self._metrics = metrics
        self._policy = policy
        self._lag = LagGauges(metrics, clock)
        self._measure_due = self._commit_due = 0.0
        self._rebalances = 0

    def settled(self) -> None:
        """Show the partitions whose offsets were just taken from Postgres."""
        self._lag.hold(self._assignment.positions)
        self._metrics.consumer_rebalances.inc(self._assignment.rebalances - self._rebalances)
        self._rebalances = self._assignment.rebalances
        self._measure_due = 0.0

    def forget(self) -> None:
        """Show no partition any more: another process holds them."""
        self._lag.hold({})

    def begin(self, polled: Polled) -> None:
        """Note that these records are being applied, and that all before them are applied."""
        for partition, records in polled.records.items():
            self._lag.polled(partition, records[0].timestamp)

    def applied(self, polled: Polled) -> None:
        """Note that these records and offset ranges are committed in Postgres."""
        for partition, end in polled.ends.items():
            records = polled.records.get(partition)
            newest = records[-1].timestamp if records else None
            position = self._assignment.positions[partition]
            self._lag.applied(partition, position, newest)
            if end is not None:
                self._lag.measured(partition, position, end)

    def report_if_due(self) -> None:
        """Commit offsets to Kafka about every second, measure lag every few seconds."""
        now = time.monotonic()
        if now >= self._commit_due:
            self._commit_due = now + self._policy.commit_seconds
            self.commit()
        if now >= self._measure_due:
            self._measure_due = now + self._policy.measure_seconds
            self._measure()

    def commit(self) -> None:
        """Commit our offsets to Kafka; a failure is harmless, the next commit repeats it."""
        offsets = {
            partition: OffsetAndMetadata(offset, "", -1)
            for partition, offset in self._assignment.positions.items()
            if partition not in self._assignment.stopped
        }
        if offsets:
            self._client.commit_async(offsets)

    def _measure(self) -> None:
        # If one of them has no leader, the client returns the end of none.
        stopped = self._assignment.stopped
        held = [place for place in self._assignment.positions if _has_end(stopped.get(place))]
        if not held:
            return
        try:
            limit = self._policy.measure_limit_ms
            # Records that wait for the end of an open transaction are lag as well.
            ends = library_patches.high_watermarks(self._client, held, timeout_ms=limit)
        except kafka_errors.KafkaError as error:
            log.warning("the ends of our partitions are not known: %s", type(error).__name__)
            self._metrics.dependency_up.labels("kafka").set(0)
            return
        self._metrics.dependency_up.labels("kafka").set(1)
        for partition, end in ends.items():
            self._lag.measured(partition, self._assignment.positions[partition], end)


def _has_end(stopped: Stopped | None) -> bool:
    return stopped is None or stopped.reason in (DEAD_LETTERS, UNREADABLE)
