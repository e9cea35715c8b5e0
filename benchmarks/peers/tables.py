"""The peers' database 同类的库: one of its own on the same server, with one table for all of them.

The table holds what Avro says, as Avro says it: the envelope's fields, instants as micros, the rest
as JSON; `value` has the bytes as they travelled where a peer keeps them, as our ledger does. One
index, the primary key. It is made anew for each run.
"""

from contextlib import closing

from psycopg2 import errors
from psycopg2.extensions import make_dsn

from node.localstack import LocalStack
from node.postgres.connection import connect, connected
from node.runtime.errors import PetitionLinkError

_DATABASE = "petitionlink_peers"
_TABLE = """
    drop table if exists event;
    create table event (
        event_id         uuid primary key,
        case_id          text not null,
        event_type       text not null,
        version          bigint not null,
        emitter          text not null,
        emitter_sequence bigint not null,
        occurred_at      bigint not null,
        recorded_at      bigint not null,
        actor            text not null,
        rule_set         text not null,
        body             jsonb not null,
        value            bytea
    );
"""
# To look must be cheap, for it happens every few milliseconds beside the peer at work. So rows are
# counted when the first are seen, and again when the last of every partition are there; in between
# the answer only says that something moves.
_MOVING = """
    select case
        when not exists (select from event) then 0
        when set_config('peers.looks',
            (coalesce(nullif(current_setting('peers.looks', true), ''), '0')::int + 1)::text,
            false) = '1' then (select count(*) from event)
        when (select count(*) from event where event_id = any('{{{last}}}')) = {partitions}
            then (select count(*) from event)
        else least({goal} - 1, pg_relation_size('event') / 8192)
    end
"""
_COUNT = "select count(*) from event"


def fresh(stack: LocalStack) -> str:
    """An empty table, nothing left to write of what was before; the address of the database."""
    dsn = make_dsn(stack.postgres_dsn, dbname=_DATABASE)
    _make_database(stack)
    with closing(connect(dsn, "bench")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_TABLE)
            cursor.execute("checkpoint")
    return dsn


def counter(events: int, last: list[str]) -> str:
    """The query for `pace`: `last` are the event ids that end the topic's partitions.

    Without them, where a peer takes only a part of the topic, every look counts.
    """
    if not last:
        return _COUNT
    return _MOVING.format(goal=events, last=",".join(last), partitions=len(last))


def check(dsn: str, events: int, *, whole: bool) -> None:
    """Raises `PetitionLinkError` unless all events are there, or that many of a part."""
    with connected(dsn, "bench") as connection, connection.cursor() as cursor:
        cursor.execute(_COUNT)
        (found,) = cursor.fetchone() or (0,)
    if found < events or (whole and found != events):
        raise PetitionLinkError(f"{events} events were to come and the peer's table has {found}")


def _make_database(stack: LocalStack) -> None:
    with closing(connect(stack.postgres_dsn, "bench")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            try:
                cursor.execute(f"create database {_DATABASE} encoding 'UTF8' template template0")
            except errors.DuplicateDatabase:
                return
            # Counting in parallel would take the core that the peer works on.
            cursor.execute(f"alter database {_DATABASE} set max_parallel_workers_per_gather = 0")
