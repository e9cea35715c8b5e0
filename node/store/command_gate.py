"""The gate of commands 指令闸门: none is taken while the database may be behind its own topics.

A database that was restored, or a standby that was promoted, may lack events which this node has
published already: a command given now would take their sequence numbers. The row `own_topic_state`
says for which database it is known that it lacks nothing. Databases are told apart by the
cluster's system identifier, the timeline, the database's oid and the file of that row's table,
which no restore and no promotion leaves all as they were; a copy of the cluster's files does, but
Postgres has to be started on it. Each connection asks once: it cannot outlive a change of server.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple
from weakref import WeakSet

from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection, Cursor
from node.runtime.errors import Transient


class Standing(Enum):
    """What is known of the database that a connection has reached."""

    CONFIRMED = "confirmed"
    # Postgres was started since, and Kafka could not be asked: the same database is trusted.
    TRUSTED = "trusted"
    # The same database, but Postgres was started since: its files may be an older copy.
    RESTARTED = "restarted"
    # Restored, promoted or new.
    OTHER = "other"


OPEN = (Standing.CONFIRMED, Standing.TRUSTED)


class NotConfirmed(Transient):
    """The database may be behind the node's own topics: no command is taken until that is known."""

    def __init__(self, node: str) -> None:
        super().__init__(
            f"node {node} takes no commands yet: Postgres was restarted, restored or promoted, and "
            f"own events that it may lack are still to be read from topic {own_topic(node)}; "
            "the node's relay does that as soon as Kafka answers: try again in a moment",
            dependency="",
        )


class Look(NamedTuple):
    """The standing of a database, and for how many seconds this node has known the database."""

    standing: Standing
    seconds: float


# The timeline is that of the WAL being written: `pg_control_checkpoint` shows the old one until the
# first checkpoint after a promotion.
_DATABASE = """
    (select system_identifier from pg_control_system())
    || ':' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
    || ':' || (select oid from pg_database where datname = current_database())
    || ':' || pg_relation_filenode('own_topic_state')
"""
_LOOK = f"""
    select confirmed_database is not distinct from {_DATABASE},
           confirmed_start is not distinct from pg_postmaster_start_time(),
           kafka_away_start is not distinct from pg_postmaster_start_time()
    from own_topic_state
"""
_SEEN = f"""
    with now_here as materialized (select {_DATABASE} as name)
    update own_topic_state set seen_database = name,
        seen_at = case when seen_database = name then seen_at else clock_timestamp() end
    from now_here
    returning extract(epoch from clock_timestamp() - seen_at)::float
"""
_CONFIRM = f"""
    update own_topic_state set confirmed_database = {_DATABASE},
        confirmed_start = pg_postmaster_start_time(), confirmed_at = now(),
        seen_database = null, seen_at = null, kafka_away_start = null
"""
_TRUST = f"""
    update own_topic_state set kafka_away_start = pg_postmaster_start_time()
    where confirmed_database = {_DATABASE}
        and pg_postmaster_start_time() <> confirmed_start
        and pg_postmaster_start_time() is distinct from kafka_away_start
"""

_passed: WeakSet[Connection] = WeakSet()


def require_confirmed(cursor: Cursor, node: str) -> None:
    """Raise `NotConfirmed` unless own events may be made; call it first in the transaction.

    Asks Postgres once per connection.
    """
    if cursor.connection in _passed:
        return
    if standing(cursor) not in OPEN:
        raise NotConfirmed(node)
    _passed.add(cursor.connection)


def standing(cursor: Cursor) -> Standing:
    """What is known of the database of this connection."""
    cursor.execute(_LOOK)
    same, started, away = cursor.fetchone() or (False, False, False)
    if not same:
        return Standing.OTHER
    if started:
        return Standing.CONFIRMED
    return Standing.TRUSTED if away else Standing.RESTARTED


def look(connection: Connection) -> Look:
    """The standing of the database; one that is not confirmed is noted with the present time."""
    with connection, connection.cursor() as cursor:
        found = standing(cursor)
        if found is not Standing.OTHER:
            return Look(found, 0.0)
        cursor.execute(_SEEN)
        (seconds,) = cursor.fetchone() or (0.0,)
    return Look(found, seconds)


def confirm(cursor: Cursor) -> None:
    """Note that this database is not behind the node's own topics."""
    cursor.execute(_CONFIRM)


def trust(cursor: Cursor) -> None:
    """Note that Kafka is away: the database is trusted if it is the one that was confirmed last."""
    cursor.execute(_TRUST)
