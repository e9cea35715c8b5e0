"""Reset offsets that Kafka cannot serve any more 位点失效; each reset is audited.

The consumer itself never does this: the records in between were not applied and are gone from
Kafka. After a reset the sources send them again; the audit log keeps the old offsets.
"""

import uuid
from contextlib import closing
from typing import NamedTuple

from node.kafka import clients, library_patches
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import consumed_topics
from node.postgres.connection import Connection
from node.runtime.settings import Settings
from node.store.audit_log import note

_HELD = "select topic, partition, next_offset, topic_id from consumer_offset order by 1, 2"
_MOVE = """
    update consumer_offset set next_offset = %(after)s, judged_from = %(after)s,
        topic_id = %(topic_id)s, updated_at = now()
    where topic = %(topic)s and partition = %(partition)s
"""
_ACTION = "recover.position_moved"


class Moved(NamedTuple):
    """An offset that was moved, and the reason."""

    topic: str
    partition: int
    before: int
    after: int
    reason: str


def move_into_range(settings: Settings, connection: Connection) -> list[Moved]:
    """Move every offset that Kafka cannot serve to the first record that Kafka has.

    Raises a Kafka error while the cluster is away.
    """
    existing = clients.existing_topics(settings)
    topics = [topic for topic in consumed_topics(settings.node) if topic in existing]
    with closing(clients.plain_consumer(settings, "recover", uncommitted=True)) as client:
        partitions = clients.partitions_of(client, topics)
        first, end = client.beginning_offsets(partitions), client.end_offsets(partitions)
        ids = library_patches.topic_ids(client, topics)
    moves: list[Moved] = []
    with connection, connection.cursor() as cursor:
        cursor.execute(_HELD)
        for topic, partition, offset, known in cursor.fetchall():
            place = TopicPartition(topic, partition)
            reason = place in first and _reason(offset, known, ids[topic], first[place], end[place])
            if reason:
                moved = Moved(topic, partition, offset, first[place], reason)
                topic_id = ids[topic] and str(ids[topic])
                cursor.execute(_MOVE, {**moved._asdict(), "topic_id": topic_id})
                note(cursor, settings.actor, _ACTION, moved._asdict())
                moves.append(moved)
    return moves


def _reason(offset: int, known: str | None, present: uuid.UUID | None, first: int, end: int) -> str:
    """Return why Kafka cannot serve this offset; empty if it can."""
    if known and present and known != str(present):
        return "the topic was deleted and made again"
    if offset < first:
        return f"records {offset} to {first - 1} are gone"
    return f"the partition ends at {end}" if offset > end else ""
