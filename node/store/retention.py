"""Housekeeping 保洁 of a node's tables: make partitions ahead, prune old rows, renew statistics.

Nobody waits for it for long: a lock that is not free soon is left for later, and rows are deleted
in batches, each a transaction of its own. The audit log 操作审计 is never pruned: it is small, and
must be kept for three years.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import psycopg2
from psycopg2.errors import LockNotAvailable

from cases.nodes import NATIONAL
from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection, Cursor
from node.postgres.statements import read_value
from node.runtime.adaptive_batch import StepSize
from node.runtime.errors import is_too_slow
from node.runtime.supervisor import Stop

BATCH_ROWS: Final = 5_000  # about 0.1 s, for which others may wait for a row
_AHEAD = "3 months"  # a node that was off for a season finds its months made
# All readers of the ledger wait while we wait for the lock.
_LOCK_WAIT = "2s"


class Retention(NamedTuple):
    outbox_days: int
    dead_letter_days: int


class Pruned(NamedTuple):
    outbox: int
    receipts: int
    dead_letters: int


_MAKE_AHEAD = f"select ensure_event_partitions(now() + interval '{_AHEAD}')"

# A pass sees every row once, in the order of ids, roughly that of time, and ends with the first
# batch of young rows only. A row is deleted if its destination has confirmed a later offset of that
# partition as applied: until then it may have to be sent again. Nobody applies the centre's own
# topic: acknowledged records stay there for good, and the offset that they reach is kept.
_OUTBOX = """
    with looked as (
        select id, topic, partition, "offset", enqueued_at, published_at from outbox
        where id > %(after)s order by id limit %(limit)s
    ), old as (
        select id from looked
        where published_at < now() - %(days)s * interval '1 day' and (topic = %(own)s or exists (
            select from receipt r where r.topic = looked.topic
            and r.partition = looked.partition and r.next_offset > looked."offset"))
    ), gone as (
        delete from outbox using old where outbox.id = old.id returning topic, partition, "offset"
    ), reached as (
        insert into own_position (topic, partition, next_offset)
        select topic, partition, max("offset") + 1 from gone group by topic, partition
        on conflict (topic, partition) do update
        set next_offset = greatest(own_position.next_offset, excluded.next_offset)
    )
    select (select count(*) from gone), max(id),
           bool_or(enqueued_at < now() - %(days)s * interval '1 day') from looked
"""
# The newest one of a partition covers all before it and stays.
_RECEIPTS = """
    with gone as (delete from receipt where ctid = any(array(
        select ctid from receipt r
        where applied_at < now() - %(days)s * interval '1 day' and exists (
            select from receipt newer where newer.topic = r.topic
            and newer.partition = r.partition and newer.next_offset > r.next_offset)
        limit %(limit)s)) returning 1)
    select count(*), 0, count(*) = %(limit)s from gone
"""
_DEAD_LETTERS = """
    with gone as (delete from dead_letter where id = any(array(
        select id from dead_letter
        where status <> 'open' and resolved_at < now() - %(days)s * interval '1 day'
        order by id limit %(limit)s)) returning 1)
    select count(*), 0, count(*) = %(limit)s from gone
"""

# Joins are planned by statistics of the whole ledger; autovacuum only analyses its partitions.
_ANALYSED = """
    select coalesce(last_analyze > now() - interval '1 day', false)
    from pg_stat_user_tables where relid = 'case_event'::regclass
"""


def make_partitions(connection: Connection) -> int | None:
    """Make the ledger's coming months; return their number, None if the ledger was locked."""
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"set local lock_timeout = '{_LOCK_WAIT}'")
            return int(read_value(cursor, _MAKE_AHEAD))
    except LockNotAvailable:
        return None


def prune(connection: Connection, keep: Retention, stop: Stop) -> Pruned:
    """Delete what is older than `keep`, batch by batch, until done or `stop`."""
    return Pruned(
        _prune(connection, _OUTBOX, keep.outbox_days, stop),
        _prune(connection, _RECEIPTS, keep.outbox_days, stop),
        _prune(connection, _DEAD_LETTERS, keep.dead_letter_days, stop),
    )


def analyse_ledger(connection: Connection) -> bool:
    """Renew the statistics of the whole ledger once a day; return whether it was done now."""
    with connection, connection.cursor() as cursor:
        due = not read_value(cursor, _ANALYSED)
        if due:
            cursor.execute("analyze case_event")
    return due


def _prune(connection: Connection, statement: str, days: int, stop: Stop) -> int:
    """Run a statement until it says that no more is to be done; return the number of rows."""
    pruned, after, more, size = 0, 0, True, StepSize("housekeeping", BATCH_ROWS)
    while more and not stop.is_set():
        with _in_time(connection, size) as cursor:
            values = {"after": after, "days": days, "limit": size.now, "own": own_topic(NATIONAL)}
            cursor.execute(statement, values)
            gone, after, more = cursor.fetchone() or (0, 0, False)
            pruned += gone
    return pruned


@contextmanager
def _in_time(connection: Connection, size: StepSize) -> Iterator[Cursor]:
    """Run a transaction; if Postgres finds it too slow, the next step is smaller."""
    tried = size.now
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    except psycopg2.Error as error:
        if not is_too_slow(error) or connection.closed or tried == 1:
            raise
        size.too_slow(tried)
    else:
        size.succeeded()
