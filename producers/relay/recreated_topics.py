"""Send unread records again to topics that were deleted and recreated 重建的主题.

Records of the old topic that the receiver has not confirmed are lost, and their offsets mean
nothing on the new one: taken for records in flight, they would never be missed.
"""

import logging
import uuid

from cases.nodes import NATIONAL
from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection
from node.runtime.errors import Transient

log = logging.getLogger(__name__)

# Kafka's identity of each topic; None while it is not known.
Ids = dict[str, uuid.UUID | None]

# A single statement is atomic and sees all tables as they were before it. A confirmed
# row keeps its mark and loses its offset. The flow counts have a row that is published again once.
_NOTICE = """
    with seen as (
        select * from unnest(%s::text[], %s::uuid[]) as seen (topic, topic_id)
    ), known as (
        insert into published_topic select * from seen on conflict (topic) do nothing
    ), other as (
        update published_topic p set topic_id = seen.topic_id from seen
        where p.topic = seen.topic and p.topic_id <> seen.topic_id returning p.topic
    ), again as (
        update outbox o set published_at = null, partition = null, "offset" = null
        from other where o.topic = other.topic and o.published_at is not null and not exists (
            select from peer_position p where p.topic = o.topic and p.partition = o.partition
            and p.next_offset > o."offset")
        returning o.topic, o.day, o.resent
    ), confirmed as (
        update outbox o set "offset" = -1
        from other, peer_position p
        where o.topic = other.topic and o.published_at is not null and p.topic = o.topic
            and p.partition = o.partition and p.next_offset > o."offset"
    ), counted as (
        insert into flow_change (topic, day, published)
        select topic, day, -count(*) from again where not resent group by topic, day
    ), receipts as (
        delete from receipt using other where receipt.topic = other.topic
    ), positions as (
        update peer_position p set next_offset = 0 from other where p.topic = other.topic
    ), own as (
        delete from own_position using other where own_position.topic = other.topic
    )
    select topic, (select count(*) from again where again.topic = other.topic) from other
"""


def publish_again(connection: Connection, ids: Ids) -> None:
    """Record the ids of these topics, whose locks are held; the connection is in autocommit.

    If a topic has a new id, the rows that its receiver has not confirmed are pending again. The
    centre's own topic has its backfill (`node.recovery.own_backfill`).
    """
    seen = {
        topic: str(topic_id)
        for topic, topic_id in ids.items()
        if topic_id is not None and topic != own_topic(NATIONAL)
    }
    if not seen:
        return
    with connection.cursor() as cursor:
        cursor.execute(_NOTICE, ([*seen], [*seen.values()]))
        for topic, rows in cursor.fetchall():
            log.warning(
                "topic %s was deleted and made again: the %d events that its receiver has not "
                "confirmed are published to it again",
                *(topic, rows),
            )


def check_same(before: Ids, now: Ids) -> None:
    """Raise `Transient` if a topic was recreated: the next session publishes its rows again."""
    for topic, topic_id in now.items():
        if topic_id is not None and before[topic] not in (None, topic_id):
            raise Transient(f"topic {topic} was deleted and made again", "kafka")
