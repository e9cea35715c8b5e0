"""The gate of commands 指令闸门 is closed while the database may lack events of its own topics.

A database that was restored, or a standby that was promoted, may lack events that this node has
published already: a command given now would take their sequence numbers. The row `own_topic_state`
names the database that is known to lack nothing. A database is identified by the cluster's system
identifier, the timeline, the database's oid and the file of that row's table: a restore or a
promotion changes one of them. A copy of the cluster's files changes none, but Postgres must be
started on it. Each connection asks once: it cannot outlive a change of server.
"""

from enum import Enum
from weakref import WeakSet

from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection, Cursor
from node.postgres.statements import read_value
from node.runtime.errors import Transient


class Confirmation(Enum):
    """The knowledge about the database that a connection has reached."""

    CONFIRMED = "confirmed"
    # Postgres was restarted since, and Kafka is away: the same database is trusted.
    TRUSTED = "trusted"
    # The same database, but Postgres was restarted since: its files may be an older copy.
    RESTARTED = "restarted"
    # Restored, promoted or new.
    OTHER = "other"


OPEN = (Confirmation.CONFIRMED, Confirmation.TRUSTED)


class NotConfirmed(Transient):
    """The database may lack events of the node's own topics, so no command is taken yet."""

    def __init__(self, node: str) -> None:
        super().__init__(
            f"node {node} takes no commands yet: Postgres was restarted, restored or promoted, and "
            f"own events that it may lack are still to be read from topic {own_topic(node)}; "
            "the node's relay does that as soon as Kafka answers: try again in a moment",
            dependency="",
        )


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
    if confirmation(cursor) not in OPEN:
        raise NotConfirmed(node)
    _passed.add(cursor.connection)


def confirmation(cursor: Cursor) -> Confirmation:
    """Return what is known of the database of this connection."""
    cursor.execute(_LOOK)
    same, started, away = cursor.fetchone() or (False, False, False)
    if not same:
        return Confirmation.OTHER
    if started:
        return Confirmation.CONFIRMED
    return Confirmation.TRUSTED if away else Confirmation.RESTARTED


def confirmation_since(connection: Connection) -> tuple[Confirmation, float]:
    """Return what is known of the database, and the seconds since another database was first seen.

    The first time that another one is seen is stored.
    """
    with connection, connection.cursor() as cursor:
        known = confirmation(cursor)
        return known, read_value(cursor, _SEEN) if known is Confirmation.OTHER else 0.0


def confirm(cursor: Cursor) -> None:
    """Store that this database has all events of the node's own topics."""
    cursor.execute(_CONFIRM)


def trust(cursor: Cursor) -> None:
    """Store that Kafka is away: the database that was confirmed last is trusted meanwhile."""
    cursor.execute(_TRUST)
