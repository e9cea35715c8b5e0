"""Lag 积压 of the partitions held, in records and in seconds.

Only the consumer knows the second exactly: the timestamp of the oldest record that is not
applied. Seconds are worked out when they are read, so that they grow while nothing moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from prometheus_client import Gauge

from node.clock import Clock
from node.kafka import TopicPartition
from node.metrics import Metrics


class Lag:
    """What is known of each held partition; read by the metrics' own thread."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._behind_since: dict[TopicPartition, int] = {}
        self._shown: set[TopicPartition] = set()

    def hold(self, positions: Mapping[TopicPartition, int]) -> None:
        """Show these partitions, and no others any more."""
        for gone in self._shown - positions.keys():
            self._behind_since.pop(gone, None)
            for gauge in self._gauges():
                gauge.remove(gone.topic, str(gone.partition))
        for partition, offset in positions.items():
            self._position(partition, offset)
            self._metrics.consumer_lag_seconds.labels(*_labels(partition)).set_function(
                partial(self.seconds, partition)
            )
        self._shown = {*positions}

    def polled(self, partition: TopicPartition, oldest_millis: int) -> None:
        """A record with this timestamp is in hand and not applied."""
        self._behind_since[partition] = oldest_millis * 1000

    def applied(
        self, partition: TopicPartition, next_offset: int, newest_millis: int | None
    ) -> None:
        """Everything before `next_offset` is committed; its newest record has this timestamp, or
        None if it was passed without a record.

        What comes next is at least as new, so the age shown from here on is never too small.
        """
        if newest_millis is not None:
            self._behind_since[partition] = newest_millis * 1000
        self._position(partition, next_offset)

    def measured(self, partition: TopicPartition, position: int, end: int) -> None:
        """The end of the partition was read from Kafka after the position was held."""
        records = max(0, end - position)
        self._metrics.consumer_lag_records.labels(*_labels(partition)).set(records)
        if records == 0:
            self._behind_since.pop(partition, None)
        else:
            self._behind_since.setdefault(partition, self._clock())

    def seconds(self, partition: TopicPartition) -> float:
        """Age of the oldest record that is not applied; 0 if there is none, never negative."""
        since = self._behind_since.get(partition)
        return 0.0 if since is None else max(0.0, (self._clock() - since) / 1_000_000)

    def _position(self, partition: TopicPartition, offset: int) -> None:
        self._metrics.consumer_applied_offset.labels(*_labels(partition)).set(offset)

    def _gauges(self) -> tuple[Gauge, ...]:
        return (
            self._metrics.consumer_lag_records,
            self._metrics.consumer_lag_seconds,
            self._metrics.consumer_applied_offset,
        )


def _labels(partition: TopicPartition) -> tuple[str, str]:
    return partition.topic, str(partition.partition)
