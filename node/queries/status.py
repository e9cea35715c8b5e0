"""What a node's tables say about its state 运行状态: counts and the outbox."""

from __future__ import annotations

from typing import Any

from psycopg2.extras import RealDictCursor

from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection
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


def database_status(connection: Connection, node: str) -> dict[str, Any]:
    """Return the part of the status of `node` that its database knows.

    Of `own_events_only_here`, which would be lost with this database, `cases_to_look_at` are those
    that the backfill of the own topic has still before it.
    """
    with connection, connection.cursor() as cursor:
        takes_commands = command_gate.standing(cursor) in command_gate.OPEN
    return {
        "node": node,
        **_rows(connection, _COUNTS)[0],
        "takes_commands": takes_commands,
        "own_events_only_here": _rows(connection, _ONLY_HERE, {"topic": own_topic(node)})[0],
        "outbox": _rows(connection, _OUTBOX),
        "stopped": stopped_partitions(connection),
    }


def stopped_partitions(connection: Connection) -> list[dict[str, Any]]:
    """The partitions that the consumer cannot read on: why, and for how many seconds."""
    return _rows(connection, _STOPPED)


def _rows(connection: Connection, query: str, values: Any = None) -> list[dict[str, Any]]:
    with connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(query, values)
        return [dict(row) for row in cursor]
