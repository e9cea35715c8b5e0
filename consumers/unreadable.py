"""Partitions that cannot be read 无法读取 for the moment: one batch there is damaged or unknown.

Such a batch is no poison, because it may hold many events. The partition stays where it is, is
named in the log and the metrics, and is tried again; all others are read meanwhile.
"""

from __future__ import annotations

import logging
import time

from kafka import KafkaConsumer

from node.kafka import TopicPartition
from node.metrics import Metrics
from node.record_format import UnreadableBatch

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
# The same line again for whoever reads only the end of the log.
_REPEAT_SECONDS = 300.0


class Unreadable:
    """The partitions of one session at which reading stopped, and when each is tried again."""

    def __init__(self, client: KafkaConsumer, metrics: Metrics) -> None:
        self._client = client
        self._metrics = metrics
        self._retry_at: dict[TopicPartition, float] = {}
        self._said: dict[TopicPartition, tuple[int, float]] = {}
        self._show()

    def stop_at(self, error: UnreadableBatch) -> None:
        """Pause the partition; its position stays, and everything else goes on."""
        partition = TopicPartition(error.topic, error.partition)
        now = time.monotonic()
        offset, said_at = self._said.get(partition, (-1, 0.0))
        if offset != error.offset or now - said_at > _REPEAT_SECONDS:
            self._said[partition] = error.offset, now
            log.error("consumer: %s", error)
        if partition in self._client.assignment():
            self._client.pause(partition)
        self._retry_at[partition] = now + _RETRY_SECONDS
        self._show()

    def retry_if_due(self) -> None:
        """Let those be fetched again that have waited long enough."""
        now = time.monotonic()
        for partition in [one for one, due in self._retry_at.items() if now >= due]:
            self._retry_at[partition] = now + _RETRY_SECONDS
            if partition in self._client.assignment():
                self._client.resume(partition)

    def moved(self, partition: TopicPartition) -> None:
        """The partition was read further."""
        if self._retry_at and self._retry_at.pop(partition, None) is not None:
            self._said.pop(partition, None)
            self._show()

    def forget(self) -> None:
        """Partitions were assigned again and all are read: those that stop will say so again."""
        self._retry_at.clear()
        self._show()

    def _show(self) -> None:
        self._metrics.consumer_unreadable_partitions.set(len(self._retry_at))
