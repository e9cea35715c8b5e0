"""The status of partitions 运行状态: position, end and lag, measured from outside the consumer.

`petitionlink status` and the pages show it: positions come from Postgres, ends and the timestamp of
the oldest unapplied record from Kafka. The metrics of the running consumer show the same figures.
"""

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from kafka import KafkaConsumer
from kafka.errors import TopicAuthorizationFailedError

from consumers import offsets
from consumers.lag import lag_records, lag_seconds
from consumers.stopped_partitions import not_authorized
from node.kafka import clients, library_patches
from node.kafka.clients import TopicPartition
from node.kafka.record_reader import UnreadableBatch
from node.kafka.topic_names import consumed_topics
from node.postgres.connection import Connection
from node.runtime.settings import Settings

_ANSWER_MS = 5_000
_LOOK_MS = 2_000


class PartitionLag(NamedTuple):
    """The status of a partition; `lag_seconds` is None if its oldest record is not readable."""

    topic: str
    partition: int
    position: int
    end: int
    lag_records: int
    lag_seconds: float | None


def partition_status(settings: Settings, connection: Connection, now: int) -> list[PartitionLag]:
    """Return the status of every partition that the node applies at `now` (micros), in order.

    Raises a Kafka error while the broker is away.
    """
    existing = clients.existing_topics(settings)
    topics = [topic for topic in consumed_topics(settings.node) if topic in existing]
    with connection, connection.cursor() as cursor:
        known = offsets.load(cursor, topics)
    with closing(clients.plain_consumer(settings, "status", uncommitted=True)) as client:
        bounds = bounds_of(client, topics)
        positions = {one: known.get(tuple(one), first) for one, (first, _) in bounds.items()}
        return sorted(measure(client, bounds, positions, now))


def bounds_of(client: KafkaConsumer, topics: list[str]) -> dict[TopicPartition, tuple[int, int]]:
    """Return the first and the next offset of each partition of these topics that has a leader."""
    ends = ends_of(client, topics)
    firsts = client.beginning_offsets([*ends], timeout_ms=_ANSWER_MS) if ends else {}
    return {one: (firsts[one], end) for one, end in ends.items()}


def measure(
    client: KafkaConsumer,
    bounds: Mapping[TopicPartition, tuple[int, int]],
    positions: Mapping[TopicPartition, int],
    now: int,
) -> list[PartitionLag]:
    """Return the status of the partitions in `bounds`, whose reader is at `positions`."""
    behind = {
        one: positions[one] for one, (first, end) in bounds.items() if first <= positions[one] < end
    }
    oldest = oldest_timestamps(client, behind)
    return [
        _status(one, positions[one], end, oldest.get(one), now) for one, (_, end) in bounds.items()
    ]


def ends_of(client: KafkaConsumer, topics: list[str]) -> dict[TopicPartition, int]:
    """Return the offset that the next record of each partition of these topics will have."""
    # If one of them has no leader, the client returns the end of none.
    partitions = [
        partition
        for partition in clients.partitions_of(client, topics)
        if not library_patches.is_leaderless(client, partition)
    ]
    ends: dict[TopicPartition, int] = (
        client.end_offsets(partitions, timeout_ms=_ANSWER_MS) if partitions else {}
    )
    return ends


def oldest_timestamps(
    client: KafkaConsumer, behind: dict[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return the timestamp (ms) of the first unapplied record of each partition, if it has one.

    Takes a few seconds at most; transaction markers and gaps are no records.
    """
    if not behind:
        return {}
    client.assign([*behind])
    for partition, offset in behind.items():
        client.seek(partition, offset)
    oldest: dict[TopicPartition, int] = {}
    deadline = time.monotonic() + _ANSWER_MS / 1000
    while len(oldest) < len(behind) and time.monotonic() < deadline:
        polled: dict[Any, Any] = _polled(client)
        for partition, records in polled.items():
            oldest.setdefault(partition, records[0].timestamp)
            client.pause(partition)
        if not polled:
            break
    return oldest


def _polled(client: KafkaConsumer) -> dict[Any, Any]:
    """Poll once; pause partitions that cannot be read, so that the others are read."""
    try:
        polled: dict[Any, Any] = client.poll(timeout_ms=_LOOK_MS)
        return polled
    except UnreadableBatch as error:
        client.pause(TopicPartition(error.topic, error.partition))
    except TopicAuthorizationFailedError as error:
        refused = not_authorized(client.assignment() - client.paused(), error)
        client.pause(*(stopped.partition for stopped in refused))
    return {} if client.paused() == client.assignment() else _polled(client)


def _status(
    place: TopicPartition, position: int, end: int, oldest_millis: int | None, now: int
) -> PartitionLag:
    records = lag_records(position, end)
    seconds: float | None = 0.0
    if records:
        seconds = None if oldest_millis is None else lag_seconds(oldest_millis * 1000, now)
    return PartitionLag(place.topic, place.partition, position, end, records, seconds)
