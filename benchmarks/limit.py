"""The limit 上限: the same rows by `psql`, no Python while the clock runs.

Prepared by the product itself: the topic is read partition by partition in chunks of 5,000; each
chunk is written and folded by it, and the rows that this gave, of the ledger and of the cases, go
to files as binary COPY. The timed script then does, per chunk and transaction, what a consumer
must: COPY into temporary tables, INSERT … ON CONFLICT DO NOTHING into the ledger, upsert of the
cases by version, of their clocks and evaluations, and the offset. Same tables, indexes, server.
What the centre does besides is not in it: decoding, the fold, routes and onward copies.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.home import empty
from cases.nodes import NATIONAL
from node.kafka import clients
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import Cursor, connected
from node.runtime.errors import PetitionLinkError
from node.store import events as store_events
from node.store.write_events import pack, write_events
from schemas.instants import now_micros
from schemas.wire import read_event

NAME = "the same rows by psql"

_CHUNK_RECORDS = 5_000
_POLL_MS = 10_000


class _Table(NamedTuple):
    """A table of cases: its key, and what makes a row of the file newer than the one there."""

    name: str
    key: str
    newer: str


_TABLES = (
    _Table("petition_case", "case_id", "petition_case.version < excluded.version"),
    _Table("case_clock", "case_id, clock, event_id", "case_clock.ended_at is null"),
    _Table("case_evaluation", "case_id, object", "true"),
)
_EVENT_COLUMNS = store_events.EVENTS.columns
# A server without lz4 compresses as it can.
_BEGIN = f"""set default_toast_compression = lz4;
\\set ON_ERROR_STOP on
create temporary table incoming on commit delete rows as
    select {_EVENT_COLUMNS} from case_event with no data;
""" + "".join(
    f"create temporary table new_{one.name} (like {one.name}) on commit delete rows;\n"
    for one in _TABLES
)
_EVENTS = f"""begin;
\\copy incoming from '{{file}}' with (format binary)
insert into case_event ({_EVENT_COLUMNS}) select {_EVENT_COLUMNS} from incoming
    on conflict (event_id) do nothing;
"""
_UPSERT = """\\copy new_{table} from '{file}' with (format binary)
insert into {table} select * from new_{table} on conflict ({key}) do update set
    ({columns}) = row({excluded}) where {newer};
"""
_OFFSET = """insert into consumer_offset values ('{topic}', {partition}, {next_offset})
    on conflict (topic, partition) do update set next_offset = excluded.next_offset;
commit;
"""
_EVENTS_OF = (
    f"copy (select {_EVENT_COLUMNS} from case_event where event_id = any(%s::uuid[])) "
    "to stdout (format binary)"
)
_ROWS_OF = "copy (select * from {} where case_id = any(%s)) to stdout (format binary)"
_COLUMNS = """
    select column_name from information_schema.columns
    where table_name = %s and not column_name = any(%s) order by ordinal_position
"""


class Script(NamedTuple):
    """Two psql scripts: everything, and the ledger with the offset alone. Their rows lie beside."""

    whole: Path
    ledger_alone: Path


def prepare(stack: LocalStack, topic: str, events: int) -> Script:
    """Write the scripts for all records of `topic`, in this stack's emptied national database."""
    empty(stack, [NATIONAL])
    folder = stack.folder / "limit"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    parts: list[_Parts] = []
    with connected(stack.dsn(NATIONAL), "bench") as connection:
        for number, records in enumerate(_chunks(topic, events)):
            with connection, connection.cursor() as cursor:
                parts.append(_chunk(cursor, records, folder / f"{number:04d}"))
    script = Script(folder / "whole.sql", folder / "ledger.sql")
    script.whole.write_text(_BEGIN + "".join("".join(one) for one in parts))
    script.ledger_alone.write_text(_BEGIN + "".join(one.events + one.offset for one in parts))
    return script


def run(stack: LocalStack, script: Path, events: int) -> float:
    """Events per second of the script into the emptied database; psql's start is not counted."""
    empty(stack, [NATIONAL])
    dsn = stack.dsn(NATIONAL)
    idle = _seconds(dsn, ["-c", "select 1"])
    seconds = _seconds(dsn, ["-f", str(script)]) - idle
    with connected(dsn, "bench") as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from case_event")
        if cursor.fetchone() != (events,):
            raise PetitionLinkError("psql wrote another number of events than the topic has")
    return events / seconds


def _chunks(topic: str, events: int) -> Iterator[Sequence[Any]]:
    settings = stack_settings(NATIONAL)
    read = 0
    with closing(clients.plain_consumer(settings, "bench")) as client:
        for number in sorted(client.partitions_for_topic(topic)):
            place = clients.TopicPartition(topic, number)
            left = client.end_offsets([place])[place]
            client.assign([place])
            client.seek(place, 0)
            while left:
                records: list[Any] = []
                while len(records) < min(_CHUNK_RECORDS, left):
                    records += client.poll(_POLL_MS, _CHUNK_RECORDS - len(records)).get(place, [])
                left -= len(records)
                read += len(records)
                yield records
    if read != events:
        raise PetitionLinkError(f"{topic} holds {read} records, {events} were sent")


class _Parts(NamedTuple):
    """A chunk's part of the script."""

    events: str
    cases: str
    offset: str


def _chunk(cursor: Cursor, records: Sequence[Any], base: Path) -> _Parts:
    """Apply a chunk, write its rows beside `base`; its part of the script."""
    events = [read_event(record.key, record.value, record.headers) for record in records]
    entries = [_entry(*pair) for pair in zip(records, events, strict=True)]
    write_events(cursor, NATIONAL, pack(entries))
    file = base.with_suffix(".events")
    _export(cursor, _EVENTS_OF, [event.event_id for event in events], file)
    case_ids = [*{event.case_id for event in events}]
    cases = [_upsert(cursor, table, case_ids, base) for table in _TABLES]
    last = records[-1]
    offset = _OFFSET.format(topic=last.topic, partition=last.partition, next_offset=last.offset + 1)
    return _Parts(_EVENTS.format(file=file), "".join(cases), offset)


def _upsert(cursor: Cursor, table: _Table, case_ids: list[str], base: Path) -> str:
    file = base.with_suffix(f".{table.name}")
    _export(cursor, _ROWS_OF.format(table.name), case_ids, file)
    cursor.execute(_COLUMNS, (table.name, table.key.split(", ")))
    columns = [name for (name,) in cursor]
    return _UPSERT.format(
        table=table.name,
        file=file,
        key=table.key,
        newer=table.newer,
        columns=", ".join(columns),
        excluded=", ".join(f"excluded.{name}" for name in columns),
    )


def _entry(record: Any, event: Any) -> store_events.Entry:
    source = store_events.RecordSource(record.topic, record.partition, record.offset, now_micros())
    return store_events.Entry(event, store_events.body_json(event.body), source)


def _export(cursor: Cursor, statement: str, ids: list[str], path: Path) -> None:
    with path.open("wb") as file:
        cursor.copy_expert(cursor.mogrify(statement, (ids,)), file)


def _seconds(dsn: str, arguments: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        ["psql", "-X", "-q", "-d", dsn, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PetitionLinkError(f"psql failed: {done.stderr.strip()[-500:]}")
    return time.perf_counter() - began
