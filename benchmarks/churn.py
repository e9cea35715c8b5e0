"""`python -m benchmarks.churn`: do the outbox and the positions bloat under load?

A month of published rows stands in the outbox; then rows are written, marked as published and
pruned, thousands at a time, and the positions move with every batch: once with Postgres' own
autovacuum settings, once with those that the migration gives. Autovacuum looks every few seconds
here, for the load of minutes is put into seconds too.
"""

import sys
import time
from contextlib import closing
from typing import NamedTuple

import typer

from benchmarks.home import bench_stack, empty
from cases.nodes import NATIONAL
from node.entrypoints.cli.output import say
from node.localstack import LocalStack
from node.postgres.connection import Cursor, connect
from node.runtime.errors import PetitionLinkError

_STANDING, _ROWS, _BATCH = 500_000, 400_000, 2_000
# Seconds between two batches: with autovacuum looking every five, as 330 rows a second do with its
# usual minute.
_PACE_SECONDS = 0.5
_PARTITIONS = 33 * 6
_TABLES = ("outbox", "consumer_offset")

_AUTOVACUUM_OFTEN = "alter system set autovacuum_naptime = '5s'"
_FILL = """
    insert into outbox (topic, case_id, event_id, published_at, partition, "offset")
    select 'petition.uplink.000000', '000000-20260105-' || n, gen_random_uuid(), now(), 0, n
    from generate_series(1, %s) n
"""
_POSITIONS = """
    insert into consumer_offset select 'petition.churn', n, 0 from generate_series(1, %s) n
"""
_WRITE = """
    insert into outbox (topic, case_id, event_id)
    select 'petition.uplink.000000', '000000-20260105-' || n, gen_random_uuid()
    from generate_series(1, %s) n
"""
_TAKE = "select id from outbox where topic = 'petition.uplink.000000' and published_at is null " \
    "order by id limit 4000"  # fmt: skip
_MARK = """
    update outbox set published_at = now(), partition = 0, "offset" = id where id = any(%s)
"""
_PRUNE = "delete from outbox where id in (select id from outbox order by id limit %s)"
_MOVE = "update consumer_offset set next_offset = next_offset + 10, updated_at = now()"
_DEAD = "select n_dead_tup from pg_stat_user_tables where relname = %s"
_SIZE = "select pg_total_relation_size(%s::regclass)"


class Course(NamedTuple):
    """How a table fared: bytes before, half-way and after, and the most dead rows."""

    table: str
    before: int
    middle: int
    after: int
    most_dead: int


def main() -> None:
    """Measure both and print them as Markdown."""
    typer.echo("| autovacuum | table | before, MB | half-way | after | most dead rows |")
    typer.echo("|---|---|---|---|---|---|")
    with bench_stack(say) as stack:
        for name in ("Postgres' own", "ours"):
            courses = _run(stack, ours=name == "ours")
            for one in courses:
                sizes = " | ".join(f"{size / 1e6:,.1f}" for size in one[1:4])
                typer.echo(f"| {name} | {one.table} | {sizes} | {one.most_dead:,} |")


def _run(stack: LocalStack, *, ours: bool) -> list[Course]:
    empty(stack, [NATIONAL])
    with closing(connect(stack.dsn(NATIONAL), "bench")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_AUTOVACUUM_OFTEN)
            cursor.execute("select pg_reload_conf()")
            if not ours:
                _forget_settings(cursor)
            cursor.execute(_FILL, (_STANDING,))
            cursor.execute(_POSITIONS, (_PARTITIONS,))
            cursor.execute("vacuum (analyze) outbox, consumer_offset")
            before = _sizes(cursor)
            _churn(cursor)
            middle = _sizes(cursor)
            most = _churn(cursor)
            after = _sizes(cursor)
            if not ours:
                _restore_settings(cursor)
            return [
                Course(table, before[table], middle[table], after[table], most[table])
                for table in _TABLES
            ]


def _churn(cursor: Cursor) -> dict[str, int]:
    """Half of the load; the most dead rows seen of each table."""
    most = dict.fromkeys(_TABLES, 0)
    for _ in range(_ROWS // _BATCH // 2):
        began = time.monotonic()
        cursor.execute(_WRITE, (_BATCH,))
        cursor.execute(_TAKE)
        cursor.execute(_MARK, ([row_id for (row_id,) in cursor],))
        cursor.execute(_PRUNE, (_BATCH,))
        for _ in range(10):
            cursor.execute(_MOVE)
        time.sleep(max(0.0, began + _PACE_SECONDS - time.monotonic()))
        most = {table: max(most[table], _one(cursor, _DEAD, table)) for table in _TABLES}
    return most


def _sizes(cursor: Cursor) -> dict[str, int]:
    return {table: _one(cursor, _SIZE, table) for table in _TABLES}


_SAVED = "create temporary table saved as select relname, unnest(reloptions) as option " \
    "from pg_class where relname = any(%s)"  # fmt: skip


def _forget_settings(cursor: Cursor) -> None:
    """Postgres' own settings for a while; the fill factor stays."""
    cursor.execute(_SAVED, ([*_TABLES],))
    cursor.execute("select relname, option from saved where option !~ '^fillfactor'")
    for table, option in cursor.fetchall():
        cursor.execute(f"alter table {table} reset ({option.partition('=')[0]})")


def _restore_settings(cursor: Cursor) -> None:
    cursor.execute("select relname, option from saved")
    for table, option in cursor.fetchall():
        cursor.execute(f"alter table {table} set ({option})")


def _one(cursor: Cursor, query: str, table: str) -> int:
    cursor.execute(query, (table,))
    (value,) = cursor.fetchone() or (0,)
    return int(value)


if __name__ == "__main__":
    try:
        typer.run(main)
    except PetitionLinkError as error:
        say(f"error: {error}")
        sys.exit(1)
