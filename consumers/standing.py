"""Where a node stands 运行状态: position, end and lag of each partition, asked from outside.

For `petitionlink status`: positions from Postgres, ends and the oldest unapplied record's
timestamp from Kafka. The running consumer's own metrics say the same without asking.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any, NamedTuple

from kafka import KafkaConsumer
from kafka.errors import TopicAuthorizationFailedError

from cases.topics import consumed_topics
from consumers import positions
from consumers.ranges import not_authorized
from node import kafka
from node.kafka import TopicPartition
from node.postgres import Connection
from node.record_format import UnreadableBatch
from node.settings import Settings

_ANSWER_MS = 5_000
_LOOK_MS = 2_000


class PartitionStanding(NamedTuple):
    """One partition: `lag_seconds` is None while the oldest unapplied record is not readable."""

    topic: str
    partition: int
    position: int
    end: int
    lag_records: int
    lag_seconds: float | None


def standing(settings: Settings, connection: Connection, now: int) -> list[PartitionStanding]:
    """Every partition that the node applies; raises a Kafka error while the broker is away."""
    existing = kafka.existing_topics(settings)
    topics = [topic for topic in consumed_topics(settings.node) if topic in existing]
    with connection, connection.cursor() as cursor:
        known = positions.load(cursor, topics)
    with closing(kafka.plain_consumer(settings, "status", uncommitted=True)) as client:
        ends = ends_of(client, topics)
        starts = client.beginning_offsets([*ends], timeout_ms=_ANSWER_MS) if ends else {}
        held = {one: known.get(tuple(one), starts[one]) for one in ends}
        # From a position whose records are gone nothing can be read.
        behind = [one for one, end in ends.items() if starts[one] <= held[one] < end]
        oldest = oldest_timestamps(client, {one: held[one] for one in behind})
    return [_standing(one, held[one], end, oldest.get(one), now) for one, end in ends.items()]


def ends_of(client: KafkaConsumer, topics: list[str]) -> dict[TopicPartition, int]:
    """Where the next record of each partition of these topics will stand."""
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(client.partitions_for_topic(topic) or ())
    ]
    # Asked for one that nobody leads, the client tells the end of none.
    partitions = [one for one in partitions if not kafka.is_leaderless(client, one)]
    ends: dict[TopicPartition, int] = (
        client.end_offsets(partitions, timeout_ms=_ANSWER_MS) if partitions else {}
    )
    return ends


def oldest_timestamps(
    client: KafkaConsumer, behind: dict[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The timestamps (ms) of the first records that are not applied, found within a few seconds.

    A partition that has only transaction markers or gaps from there on is left out.
    """
    if not behind:
        return {}
    client.assign([*behind])
    for partition, offset in behind.items():
        client.seek(partition, offset)
    found: dict[TopicPartition, int] = {}
    deadline = time.monotonic() + _ANSWER_MS / 1000
    while len(found) < len(behind) and time.monotonic() < deadline:
        polled: dict[Any, Any] = _polled(client)
        for partition, records in polled.items():
            found.setdefault(partition, records[0].timestamp)
            client.pause(partition)
        if not polled:
            break
    return found


def _polled(client: KafkaConsumer) -> dict[Any, Any]:
    """A look only: a partition that cannot be read has no timestamp, and hides no other's."""
    try:
        polled: dict[Any, Any] = client.poll(timeout_ms=_LOOK_MS)
    except UnreadableBatch as error:
        return _polled_without(client, [TopicPartition(error.topic, error.partition)])
    except TopicAuthorizationFailedError as error:
        refused = not_authorized(client.assignment() - client.paused(), error)
        return _polled_without(client, [one.partition for one in refused])
    return polled


def _polled_without(client: KafkaConsumer, unreadable: list[TopicPartition]) -> dict[Any, Any]:
    client.pause(*unreadable)
    return {} if client.paused() == client.assignment() else _polled(client)


def _standing(
    one: TopicPartition, position: int, end: int, oldest_millis: int | None, now: int
) -> PartitionStanding:
    lag = max(0, end - position)
    seconds: float | None = 0.0
    if lag:
        seconds = None if oldest_millis is None else max(0.0, now / 1e6 - oldest_millis / 1e3)
    return PartitionStanding(one.topic, one.partition, position, end, lag, seconds)
