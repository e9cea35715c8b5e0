"""`python -m benchmarks.offline`: a province that was long without the centre, a drill 断网演练.

1. The broker is ended and the relay started. Events are written by the recording path of an
   import, so that ledger, cases and outbox grow as they would in that week.
2. The broker comes back. The relay drains at a rate for a while, then, started anew, without one.
3. All the while fresh cases are registered, urgent ones and others. A case's clock starts when its
   COMMIT has returned here and stops at its outbox row's `published_at`: acknowledged.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import typer

from benchmarks.events import events_together
from benchmarks.figures import percentile, shown
from benchmarks.filling import chunks
from benchmarks.home import bench_stack, empty, megabytes, peak_megabytes, process
from benchmarks.machine import machine
from node.entrypoints.cli.demo_cases import Desk
from node.entrypoints.cli.output import out, say, table
from node.kafka.topic_names import uplink
from node.keys.office import open_office
from node.localstack import LocalStack, broker
from node.localstack.stack import stack_settings
from node.localstack.state import Kafka, read_state
from node.postgres.connection import Connection, connected
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import ENV_PREFIX
from node.store.write_events import pack_own, write_own_events
from producers.commands.handle import handle
from producers.commands.parse import parse
from producers.relay.outbox_reader import take

_NODE = "110000"
_FRESH_PER_SECOND = 40  # every other one urgent
_LOOK_SECONDS = 1.0
_LIMIT_SECONDS = 3600
_SIZES = """
    select pg_table_size('outbox'), pg_indexes_size('outbox'),
           (select sum(pg_total_relation_size(relid)) from pg_partition_tree('case_event'))::bigint,
           pg_database_size(current_database())
"""
# The backlog is ordinary and marked in the order of its ids: its head tells what is done.
_HEAD = (
    "select coalesce((select min(id) from outbox where topic = %s and not urgent and "
    "published_at is null), (select max(id) + 1 from outbox)) - 1"
)
_PUBLISHED = """
    select case_id, extract(epoch from published_at)::float8 from outbox where case_id = any(%s)
"""
_PENDING = "select count(*) from outbox where published_at is null"


class Fresh(NamedTuple):
    """A case registered during the drain: when its commit had returned, in epoch seconds."""

    case_id: str
    urgent: bool
    committed_at: float


@dataclass
class Phase:
    """One part of the drill: how far the backlog went, who was registered, what memory it took."""

    name: str
    heads: list[tuple[float, int]] = field(default_factory=list)
    fresh: list[Fresh] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)

    @property
    def moves(self) -> bool:
        """Whether the relay is at work: what is registered before would measure its start."""
        return bool(self.heads) and self.heads[-1][1] > self.heads[0][1]

    @property
    def rate(self) -> float:
        """Backlog records per second, from the first that left to the last look."""
        moved = [place for place in self.heads if place[1] > self.heads[0][1]]
        (began, first), (ended, last) = moved[0], moved[-1]
        return (last - first) / (ended - began)


def main(
    events: Annotated[int, typer.Option(min=20_000, help="Events that wait.")] = 250_000,
    rate: Annotated[int, typer.Option(min=1, help="Records a second in the first part.")] = 2_000,
    seconds: Annotated[int, typer.Option(min=5, help="How long the first part takes.")] = 60,
) -> None:
    """A province's broker is away while events gather, then comes back: what a drain is like."""
    with bench_stack(say) as stack:
        line = machine(stack)
        empty(stack, [_NODE])
        office = open_office(stack_settings(_NODE))
        with connected(stack.dsn(_NODE), "bench") as connection:
            desk = Desk(office, connection)
            with _broker_away(stack):
                say(f"the broker is away: writing {events:,} events")
                figures = _fill(stack, desk, events)
            phases = _drain(stack, desk, events, rate, seconds)
            out.print(table("backlog", ("what", "figure"), figures))
            _report(connection, phases)
    say(line)


@contextmanager
def _broker_away(stack: LocalStack) -> Iterator[None]:
    known = read_state(stack.folder).kafka
    assert isinstance(known, Kafka)
    broker.stop(stack.folder)
    try:
        yield
    finally:
        broker.start(stack.folder, known)
        broker.await_ready(stack.folder, known)


def _fill(stack: LocalStack, desk: Desk, events: int) -> list[tuple[str, str]]:
    """Write the backlog while a relay looks for the broker; figures about it."""
    began = time.perf_counter()
    with _relay(stack, 0) as relay:
        for chunk in chunks(events_together(desk.office, events)):
            with desk.connection as connection, connection.cursor() as cursor:
                write_own_events(cursor, desk.office.node, pack_own(chunk))
        seconds = time.perf_counter() - began
        resident = peak_megabytes(relay)
    sizes = _ask(desk.connection, _SIZES)
    taking = [_take_milliseconds(desk.connection) for _ in range(5)]
    return [
        ("outbox rows that wait", f"{_ask(desk.connection, _PENDING)[0]:,}"),
        ("recorded, events/s", shown(events / seconds)),
        ("outbox, MB of rows / of indexes", f"{sizes[0] / 1e6:.0f} / {sizes[1] / 1e6:.0f}"),
        ("ledger, whole database, MB", f"{sizes[2] / 1e6:.0f}, {sizes[3] / 1e6:.0f}"),
        ("taking the first 4,000 rows, ms", f"{min(taking):.0f}"),
        ("relay's peak memory without the broker, MB", f"{resident:.0f}"),
    ]


def _take_milliseconds(connection: Connection) -> float:
    began = time.perf_counter()
    take(connection, [uplink(_NODE)], 4000)
    connection.rollback()
    return (time.perf_counter() - began) * 1000


def _drain(stack: LocalStack, desk: Desk, events: int, rate: int, seconds: int) -> list[Phase]:
    paced = Phase(f"at {rate:,} records/s")
    with _relay(stack, rate) as relay:
        say(f"the broker is back: {seconds} s at {rate:,} records/s")
        _drive(desk, relay, paced, _goal(desk.connection) + rate * seconds)
    free = Phase("without a rate")
    with _relay(stack, 0) as relay:
        say("the rest without a rate")
        _drive(desk, relay, free, events)
        _drive(desk, relay, Phase("nothing waits"), None)
    return [paced, free]


def _goal(connection: Connection) -> int:
    return int(_ask(connection, _HEAD, (uplink(_NODE),))[0])


@contextmanager
def _relay(stack: LocalStack, rate: int) -> Iterator[int]:
    """A relay process; its id."""
    os.environ[f"{ENV_PREFIX}RELAY_RECORDS_PER_SECOND"] = str(rate)
    with process(stack, _NODE, "relay") as started:
        yield started.pid


def _drive(desk: Desk, relay: int, phase: Phase, goal: int | None) -> None:
    """Register on schedule and look each second, until the backlog is at `goal`; None: all is."""
    began, number, look_at = time.monotonic(), 0, 0.0
    while time.monotonic() < began + _LIMIT_SECONDS:
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + _LOOK_SECONDS
            phase.heads.append((time.monotonic(), _goal(desk.connection)))
            phase.resident.append(megabytes(relay, "VmRSS"))
            if _is_done(desk.connection, phase, goal):
                return
        if goal is not None and phase.moves:
            phase.fresh.append(_register(desk, urgent=number % 2 == 0))
        number += 1
        time.sleep(max(0.0, began + number / _FRESH_PER_SECOND - time.monotonic()))
    raise PetitionLinkError("the backlog does not drain: see .local/bench.logs/")


def _is_done(connection: Connection, phase: Phase, goal: int | None) -> bool:
    if goal is None:
        return _ask(connection, _PENDING)[0] == 0
    return phase.heads[-1][1] >= goal


def _register(desk: Desk, *, urgent: bool) -> Fresh:
    given = {"command": "register", "channel": "web", "title": "虚构事项", "urgent": urgent}
    case_id = handle(desk.connection, desk.office, parse(given, desk.office)).case.case_id
    return Fresh(case_id, urgent, time.time())


def _report(connection: Connection, phases: Iterable[Phase]) -> None:
    columns = ("drain", "backlog records/s", "urgent p50 / p99, ms", "ordinary p50 / p99, ms")
    rows = [
        (
            phase.name,
            shown(phase.rate),
            _latencies(connection, phase, urgent=True),
            _latencies(connection, phase, urgent=False),
            " ".join(f"{value:.0f}" for value in _quarters(phase.resident)),
        )
        for phase in phases
    ]
    memory = "relay resident, MB, at the start, 1/4, 1/2, 3/4, end"
    out.print(table("drain", (*columns, memory), rows))


def _latencies(connection: Connection, phase: Phase, *, urgent: bool) -> str:
    committed = {one.case_id: one.committed_at for one in phase.fresh if one.urgent == urgent}
    with connection, connection.cursor() as cursor:
        cursor.execute(_PUBLISHED, ([*committed],))
        waits = [(published - committed[case_id]) * 1000 for case_id, published in cursor]
    return f"{shown(percentile(waits, 0.5))} / {shown(percentile(waits, 0.99))} ({len(waits)})"


def _quarters(values: list[float]) -> list[float]:
    return [values[(len(values) - 1) * quarter // 4] for quarter in range(5)]


def _ask(connection: Connection, query: str, values: tuple[str, ...] = ()) -> tuple[int, ...]:
    with connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchone() or ()


if __name__ == "__main__":
    try:
        typer.run(main)
    except PetitionLinkError as error:
        say(f"error: {error}")
        sys.exit(1)
