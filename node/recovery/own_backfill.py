"""Backfill 补存 the centre's own topic with own events that are nowhere outside the database.

These are events of a release that had no own topic, and all own events if the topic was deleted and
made again. A transaction takes a few cases and stores how far it got. The rows are in the ordinary
lane, so that new events go first.
"""

import logging
from contextlib import closing

from cases.nodes import NATIONAL
from node.kafka import clients, library_patches
from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection
from node.postgres.statements import read_value
from node.runtime.settings import Settings

log = logging.getLogger(__name__)

_CASES = 200
# An event with a row that waits or was made since is being published already.
_STEP = """
    with state as (
        select backfill_after, backfill_began from own_topic_state for update
    ), looked as (
        select case_id from petition_case, state
        where case_id > backfill_after order by case_id limit %(cases)s
    ), owed as (
        insert into outbox (topic, case_id, event_id, day)
        select %(topic)s, e.case_id, e.event_id,
               (e.recorded_at at time zone 'Asia/Shanghai')::date
        from looked join case_event e using (case_id)
        where e.emitter = %(node)s and not exists (
            select from outbox o, state where o.event_id = e.event_id and o.topic = %(topic)s
            and (o.published_at is null or o.enqueued_at >= state.backfill_began))
        order by e.case_id, e.version, e.event_id
        returning day
    ), counted as (
        insert into flow_change (topic, day, committed)
        select %(topic)s, day, count(*) from owed group by day
    )
    update own_topic_state set backfill_after = (select max(case_id) from looked)
    where backfill_after is not null
    returning backfill_after is not null
"""
_SAME_TOPIC = """
    update own_topic_state set topic_id = %(id)s
    where topic_id is null returning true
"""
_OTHER_TOPIC = """
    with other as (
        update own_topic_state
        set topic_id = %(id)s, backfill_after = '', backfill_began = clock_timestamp()
        where topic_id <> %(id)s returning 1
    ), forgotten as (
        delete from own_position where topic = %(topic)s and exists (select from other)
    )
    select count(*) from other
"""


def step(connection: Connection, node: str) -> bool:
    """Enqueue the next few cases, in autocommit; return whether more are left."""
    if node != NATIONAL:
        return False
    with connection.cursor() as cursor:
        values = {"cases": _CASES, "topic": own_topic(node), "node": node}
        return bool(read_value(cursor, _STEP, values))


def notice_new_topic(connection: Connection, settings: Settings) -> None:
    """Begin the backfill again if the own topic was made again."""
    topic = own_topic(settings.node)
    if settings.node != NATIONAL:
        return
    with closing(clients.plain_consumer(settings, "own-topics")) as client:
        client.partitions_for_topic(topic)
        identity = library_patches.topic_ids(client, [topic])[topic]
    if identity is None:
        return
    values = {"id": str(identity), "topic": topic}
    with connection.cursor() as cursor:
        cursor.execute(_SAME_TOPIC, values)
        cursor.execute(_OTHER_TOPIC, values)
        if cursor.fetchone() == (1,):
            log.warning("topic %s was made again: every own event is published to it again", topic)
