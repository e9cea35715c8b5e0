"""What a relay holds in memory while a great backlog waits 中继内存: hundreds of thousands of rows.

A few thousand invented events are copied in SQL under new ids, with their bytes: a relay looks at
neither. The process is watched while it drains: its peak, and what it has resident at the end
against a quarter of the way, which tells whether it grows. A million rows with FULL=1, or a tenth.
"""

import os
import time
from collections.abc import Iterator
from contextlib import closing

from benchmarks.events import events_together
from benchmarks.figures import Figure, Goal
from benchmarks.filling import write_ledger
from benchmarks.home import empty, know_own_records, megabytes, peak_megabytes, process
from benchmarks.plan import Plan
from node.kafka.topic_names import uplink
from node.keys.office import open_office
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import Cursor, connect
from node.runtime.errors import PetitionLinkError

_NODE = "660000"
_ROWS, _FULL_ROWS = 100_000, 1_000_000
_PATTERN = 5_000
_LOOK_SECONDS = 0.2
_LIMIT_SECONDS = 600
_COLUMNS = """
    select string_agg(quote_ident(column_name), ', ') from information_schema.columns
    where table_name = 'case_event' and column_name not in ('event_id', 'feed_id')
"""
# A UUIDv7 of another millisecond for each copy; what is random in it stays.
_COPIES = """
    insert into case_event (event_id, {0})
    select (lpad(to_hex(x'019000000000'::bigint + copy), 12, '0')
            || substr(replace(event_id::text, '-', ''), 13))::uuid, {0}
    from case_event cross join generate_series(1, %s) copy
"""
_OWED = """
    insert into outbox (topic, case_id, event_id)
    select %s, case_id, event_id from case_event order by event_id
"""
_WAITING = "select count(*) from outbox where published_at is null"


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Megabytes: the peak, and at the end against a quarter of the way."""
    rows = _FULL_ROWS if os.environ.get("FULL") == "1" else _ROWS
    peaks, ends, quarters = [], [], []
    for _ in plan.runs("relay memory"):
        _fill(stack, rows)
        with (
            closing(connect(stack.dsn(_NODE), "bench")) as connection,
            connection.cursor() as cursor,
            process(stack, _NODE, "relay") as relay,
        ):
            connection.autocommit = True
            resident = [*_drained(cursor, relay.pid, rows)]
            peaks.append(peak_megabytes(relay.pid))
        ends.append(resident[-1])
        quarters.append(resident[len(resident) // 4])
    about = f"{rows:,} rows wait at the start, copies of {_PATTERN:,} events"
    about += "" if rows == _FULL_ROWS else f" (FULL=1: {_FULL_ROWS:,})"
    return [
        Figure(
            "relay's memory, peak", "MB", peaks, about, goal=Goal(200, of_ratio=False, below=True)
        ),
        Figure(
            "relay's memory, drained",
            "MB",
            ends,
            about,
            "a quarter of the way",
            quarters,
            Goal(1.1, below=True),
        ),
    ]


def _drained(cursor: Cursor, relay: int, rows: int) -> Iterator[float]:
    """What the relay has resident at each look from the first rows marked until none wait."""
    deadline, waiting = time.monotonic() + _LIMIT_SECONDS, rows
    while waiting:
        if time.monotonic() > deadline:
            raise PetitionLinkError("the backlog does not drain: see .local/bench.logs/")
        time.sleep(_LOOK_SECONDS)
        cursor.execute(_WAITING)
        (waiting,) = cursor.fetchone() or (0,)
        if waiting < rows:
            yield megabytes(relay, "VmRSS")


def _fill(stack: LocalStack, rows: int) -> None:
    empty(stack, [_NODE])
    dsn = stack.dsn(_NODE)
    write_ledger(dsn, events_together(open_office(stack_settings(_NODE)), _PATTERN))
    with closing(connect(dsn, "bench")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(_COLUMNS)
        (columns,) = cursor.fetchone() or ("",)
        cursor.execute(_COPIES.format(columns), (rows // _PATTERN - 1,))
        cursor.execute(_OWED, (uplink(_NODE),))
        cursor.execute("vacuum analyze outbox")
        cursor.execute("checkpoint")
    know_own_records(_NODE)
