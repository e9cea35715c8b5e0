"""`python -m benchmarks.growth`: what a million events take on the disk, table by table.

A province that makes events and a centre that applies them and owes each to one further province,
by the product's own transactions, everything published, vacuumed as autovacuum leaves it. Measured
with some ten thousand events and scaled up; the table of docs/growth.md is this output.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Annotated, NamedTuple

import typer

from benchmarks.events import EVENTS_PER_CASE, events_apart
from benchmarks.filling import chunks
from benchmarks.home import bench_stack, empty
from benchmarks.machine import machine
from cases.nodes import NATIONAL
from consumers import offsets
from consumers.apply_batch import apply_batch
from consumers.batch import Batch, DecodedRecord, OffsetRange
from node.entrypoints.cli.output import say
from node.kafka.topic_names import produced_topics, uplink
from node.keys.office import open_office
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import Connection, connect
from node.runtime.errors import PetitionLinkError
from node.store.events import Entry, Packed, RecordSource, body_json, pack
from node.store.write_events import pack_own, write_own_events
from producers.relay.outbox_reader import Published, mark, take
from schemas.event import Event

_PROVINCE, _FURTHER = "370000", "110000"
_MILLION = 1_000_000

_SIZES = """
    select table_name, kind, sum(bytes)::bigint from (
        select coalesce(pg_partition_root(c.oid), c.oid)::regclass::text as table_name,
               'rows' as kind, pg_table_size(c.oid) as bytes
        from pg_class c where relkind = 'r' and relnamespace = 'public'::regnamespace
        union all
        select coalesce(pg_partition_root(indrelid), indrelid)::regclass::text,
               coalesce(pg_partition_root(indexrelid), indexrelid)::regclass::text,
               pg_relation_size(indexrelid)
        from pg_index join pg_class t on t.oid = indrelid
        where t.relkind = 'r' and t.relnamespace = 'public'::regnamespace
    ) sized group by 1, 2 having sum(bytes) > %s order by table_name, kind <> 'rows', 3 desc
"""
# An empty table has a few pages: what is less than two bytes an event is no growth.
_LEAST_BYTES_PER_EVENT = 2


class Size(NamedTuple):
    """Megabytes of one table's rows (with toast) or one index, for a million events."""

    table: str
    what: str
    megabytes: float


class _Record(NamedTuple):
    topic: str
    partition: int
    offset: int


def main(events: Annotated[int, typer.Option(min=10_000)] = 60_000) -> None:
    """Measure growth on a Postgres of its own and print it as Markdown."""
    with bench_stack(say) as stack:
        empty(stack)
        made = list(events_apart(open_office(stack_settings(_PROVINCE)), events))
        _produce(stack, made)
        _receive(stack, made)
        sizes = {node: _sizes(stack, node, events) for node in (_PROVINCE, NATIONAL)}
        value = sum(len(one.value) for one in made) / len(made)
        say(machine(stack))
    typer.echo(f"{events:,} events of {value:,.0f} bytes, {EVENTS_PER_CASE} a case\n")
    typer.echo("\n".join(_table(sizes)))


def _produce(stack: LocalStack, events: Iterable[Event]) -> None:
    with closing(connect(stack.dsn(_PROVINCE), "bench")) as connection:
        for chunk in chunks(events):
            with connection, connection.cursor() as cursor:
                write_own_events(cursor, _PROVINCE, pack_own(chunk))
            _publish(connection, _PROVINCE)


def _packed(topic: str, first: int, events: Sequence[Event]) -> Iterator[tuple[Event, Packed]]:
    for offset, event in enumerate(events, first):
        source = RecordSource(topic, 0, offset, event.recorded_at)
        yield event, pack(Entry(event, body_json(event.body), source))


def _receive(stack: LocalStack, events: Sequence[Event]) -> None:
    topic, offset = uplink(_PROVINCE), 0
    with closing(connect(stack.dsn(NATIONAL), "bench")) as connection:
        with connection, connection.cursor() as cursor:
            offsets.begin(cursor, {(topic, 0): 0})
            cursor.execute(
                "insert into case_route select distinct unnest(%s::text[]), %s",
                ([event.case_id for event in events], _FURTHER),
            )
        for chunk in chunks(events):
            decoded = [
                DecodedRecord(_Record(topic, 0, offset + n), event, packed)
                for n, (event, packed) in enumerate(_packed(topic, offset, chunk))
            ]
            moved = OffsetRange(topic, 0, offset, offset + len(chunk))
            batch = Batch(decoded, [], [moved], chunk[0].recorded_at)
            apply_batch(connection, NATIONAL, batch)
            offset += len(chunk)
            _publish(connection, NATIONAL)


def _publish(connection: Connection, node: str) -> None:
    """Mark what is pending, as the relay does after the acknowledgements."""
    while pending := take(connection, produced_topics(node), 4000):
        with connection:
            mark(connection, [Published(row.id, 0, row.id) for row in pending])


def _sizes(stack: LocalStack, node: str, events: int) -> list[Size]:
    with closing(connect(stack.dsn(node), "bench")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("vacuum")
            cursor.execute(_SIZES, (_LEAST_BYTES_PER_EVENT * events,))
            return [
                Size(table, what, size * _MILLION / events / 1e6) for table, what, size in cursor
            ]


def _table(sizes: dict[str, list[Size]]) -> Iterator[str]:
    yield "| table | | a province, MB | the centre, MB |"
    yield "|---|---|---|---|"
    by_node = [{size[:2]: size.megabytes for size in several} for several in sizes.values()]
    for key in {**by_node[0], **by_node[1]}:
        figures = " | ".join(f"{one[key]:,.0f}" if key in one else "–" for one in by_node)
        yield f"| {key[0]} | {key[1]} | {figures} |"
    totals = " | ".join(f"{sum(one.values()):,.0f}" for one in by_node)
    yield f"| **all** | | {totals} |"


if __name__ == "__main__":
    try:
        typer.run(main)
    except PetitionLinkError as error:
        say(f"error: {error}")
        sys.exit(1)
