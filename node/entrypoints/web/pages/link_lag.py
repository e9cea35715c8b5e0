"""Lag of both directions 双向积压, computed from Kafka.

Our own positions are in our Postgres; the readers of our topics commit theirs to Kafka about every
second. A reader that never committed has everything before it.
"""

from collections.abc import Iterable
from contextlib import closing
from typing import NamedTuple

from cases.nodes import NATIONAL
from consumers.partition_status import PartitionLag, bounds_of, measure, partition_status
from node.entrypoints.web.pages.open_case import Connections
from node.kafka import clients
from node.kafka.topic_names import consumed_topics, peer_topics
from node.runtime.settings import Settings
from schemas.instants import now_micros


class Lag(NamedTuple):
    """The records of a topic that its reader has not applied, and the age of the oldest.

    `seconds` is None while that record cannot be read.
    """

    records: int
    seconds: float | None


def lags(settings: Settings, connections: Connections) -> dict[str, Lag]:
    """Return the lag of each existing topic that this node reads or writes.

    Takes some tenths of a second, and seconds while the broker is away; then it raises.
    """
    with connections() as connection:
        read_by_us = partition_status(settings, connection, now_micros())
    return _by_topic(read_by_us) | _by_topic(_read_by_others(settings))


def _read_by_others(settings: Settings) -> list[PartitionLag]:
    with closing(clients.admin(settings)) as client:
        existing = set(client.list_topics())
        topics = [topic for topic in peer_topics(settings.node) if topic in existing]
        if not topics:
            return []
        committed = client.list_group_offsets({_group(topic): None for topic in topics})
    applied = {
        partition: position.offset
        for group in committed.values()
        for partition, position in group.items()
        if position.offset >= 0
    }
    with closing(clients.plain_consumer(settings, "monitor", uncommitted=True)) as client:
        bounds = bounds_of(client, topics)
        positions = {p: max(applied.get(p, 0), first) for p, (first, _) in bounds.items()}
        return measure(client, bounds, positions, now_micros())


def _group(topic: str) -> str:
    province = topic.rsplit(".", 1)[1]
    reader = province if topic in consumed_topics(province) else NATIONAL
    return clients.group_of(reader)


def _by_topic(partitions: Iterable[PartitionLag]) -> dict[str, Lag]:
    by_topic: dict[str, Lag] = {}
    for status in partitions:
        before = by_topic.get(status.topic)
        by_topic[status.topic] = _sum(before, status.lag_records, status.lag_seconds)
    return by_topic


def _sum(before: Lag | None, records: int, seconds: float | None) -> Lag:
    if before is None:
        return Lag(records, seconds)
    known = [age for age in (before.seconds, seconds) if age is not None]
    unknown = (before.records and before.seconds is None) or (records and seconds is None)
    return Lag(before.records + records, None if unknown or not known else max(known))
