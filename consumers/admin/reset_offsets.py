"""Reset offsets that Kafka cannot serve any more 位点失效; each reset is audited.

The consumer itself never does this: the records in between were not applied and are gone from
Kafka. An operator who recovers a node has its sources send them again, and the audit log keeps
which offsets they had.
"""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import Any, NamedTuple

from node.kafka import clients, library_patches
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import consumed_topics
from node.postgres.connection import Connection, Cursor
from node.runtime.settings import Settings
from node.store.audit_log import note

_HELD = "select topic, partition, next_offset, topic_id from consumer_offset order by 1, 2"
_MOVE = """
    update consumer_offset set next_offset = %s, judged_from = %s, topic_id = %s, updated_at = now()
    where topic = %s and partition = %s
"""
_ACTION = "recover.position_moved"


class Moved(NamedTuple):
    """An offset that was moved, and why."""

    topic: str
    partition: int
    before: int
    after: int
    reason: str


def move_into_range(settings: Settings, connection: Connection) -> list[Moved]:
    """Move every offset that Kafka cannot serve to the first record that Kafka has.

    Raises a Kafka error while the cluster is away.
    """
    topics = [
        topic
        for topic in consumed_topics(settings.node)
        if topic in clients.existing_topics(settings)
    ]
    with closing(clients.plain_consumer(settings, "recover", uncommitted=True)) as client:
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in sorted(client.partitions_for_topic(topic) or ())
        ]
        first, end = client.beginning_offsets(partitions), client.end_offsets(partitions)
        ids = library_patches.topic_ids(client, topics)
    with connection, connection.cursor() as cursor:
        cursor.execute(_HELD)
        held = cursor.fetchall()
        return [
            moved
            for topic, partition, offset, known in held
            if (one := TopicPartition(topic, partition)) in first
            and (moved := _moved(one, offset, known, ids[topic], (first[one], end[one])))
            and _write(cursor, settings, moved, ids[topic])
        ]


def _moved(
    one: TopicPartition,
    offset: int,
    known: str | None,
    present: uuid.UUID | None,
    there: tuple[int, int],
) -> Moved | None:
    first, end = there
    if known and present and known != str(present):
        reason = "the topic was deleted and made anew"
    elif offset < first:
        reason = f"records {offset} to {first - 1} are gone"
    elif offset > end:
        reason = f"the partition ends at {end}"
    else:
        return None
    return Moved(one.topic, one.partition, offset, first, reason)


def _write(cursor: Cursor, settings: Settings, moved: Moved, present: Any) -> bool:
    cursor.execute(
        _MOVE, (moved.after, moved.after, present and str(present), moved.topic, moved.partition)
    )
    note(cursor, settings.actor, _ACTION, moved._asdict())
    return True
