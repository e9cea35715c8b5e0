"""The state of a node 运行状态, as its tables have it."""

from typing import Any

from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection
from node.postgres.statements import query_rows
from node.store import command_gate

_OUTBOX = """
    select topic, count(*) filter (where published_at is null) as pending,
           count(published_at) as published,
           coalesce(extract(epoch from now() - min(enqueued_at)
               filter (where published_at is null)), 0)::float as oldest_pending_seconds
    from outbox group by topic order by topic
"""
_COUNTS = """
    select (select count(*) from case_event) as events,
           (select count(*) from petition_case) as cases,
           (select count(*) from petition_case where incomplete) as incomplete_cases,
           (select count(*) from petition_case where conflicts > 0) as cases_with_conflicts,
           (select count(*) from dead_letter where status = 'open') as dead_letters_open
"""
_ONLY_HERE = """
    select count(*) as events,
           coalesce(extract(epoch from now() - min(enqueued_at)), 0)::float as oldest_seconds,
           (select count(*) from petition_case, own_topic_state
            where case_id > backfill_after) as cases_to_look_at
    from outbox where topic = %(topic)s and published_at is null and not resent
"""
_STOPPED = """
    select topic, partition, reason, detail, extract(epoch from now() - since)::float as seconds
    from stopped_partition order by topic, partition
"""


def read_status(connection: Connection, node: str) -> dict[str, Any]:
    """Return counts, gate, outbox by topic and stopped partitions of this node.

    `own_events_only_here` would be lost with this database, as the own topic lacks them; of its
    `cases_to_look_at` the backfill has still to read the events.
    """
    return {
        "node": node,
        **query_rows(connection, _COUNTS)[0],
        "takes_commands": _takes_commands(connection),
        "own_events_only_here": query_rows(connection, _ONLY_HERE, {"topic": own_topic(node)})[0],
        "outbox": query_rows(connection, _OUTBOX),
        "stopped": stopped_partitions(connection),
    }


def stopped_partitions(connection: Connection) -> list[dict[str, Any]]:
    """Return the partitions that the consumer does not read: why, and for how many seconds."""
    return query_rows(connection, _STOPPED)


def _takes_commands(connection: Connection) -> bool:
    """Return True if the database is known to have all events of the node's own topics."""
    with connection, connection.cursor() as cursor:
        return command_gate.confirmation(cursor) in command_gate.OPEN
