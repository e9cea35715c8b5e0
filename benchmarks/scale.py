"""Growth 规模: is the consumer as fast with a large ledger, with long cases and with many nodes?

Each rate is compared with the first of its kind in the same run. A large ledger is made in SQL from
one that the product wrote: its rows again and again under other ids, with all their indexes.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

from benchmarks.catch_up import CONSUME
from benchmarks.events import events_of_length, events_together
from benchmarks.figures import Figure, Goal
from benchmarks.filling import publish
from benchmarks.home import begin_at, empty, ends, processes
from benchmarks.pace import pace
from benchmarks.plan import Plan
from cases.nodes import NATIONAL, PROVINCES
from consumers.offsets import Offsets
from node import localstack
from node.entrypoints.cli.output import say
from node.kafka.topic_names import uplink
from node.keys.office import Office, open_office
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import connect
from node.runtime.errors import PetitionLinkError
from schemas.event import Event

_EVENTS = 30_000
_SEED_EVENTS = 10_000
_SIZES = (100_000, 1_000_000)
_FULL_SIZES = (*_SIZES, 10_000_000)
_LONG = 10_000
_GOAL = Goal(0.8)
# Provinces that no other measurement writes for, so that their cases are new.
_SEED_PROVINCE, *_OTHERS = [code for code in PROVINCES if code[:2] not in ("11", "37", "50", "66")]

_Make = Callable[[Office, int], Iterator[Event]]
_APPLIED = "select coalesce(sum(next_offset), 0)::bigint - {} from consumer_offset"
_HELD = "select count(*) from case_event"
_COLUMNS = """
    select string_agg(quote_ident(column_name), ', ') from information_schema.columns
    where table_name = %s and not column_name = any(%s)
"""
# Another case and, where the table has one, an id of another millisecond for each copy.
_CASE_ID = "case_id || '-' || copy"
_EVENT_ID = (
    "(lpad(to_hex(x'019000000000'::bigint + copy), 12, '0') "
    "|| substr(replace(event_id::text, '-', ''), 13))::uuid"
)
_COPIED: dict[str, dict[str, str | None]] = {
    "case_event": {"event_id": _EVENT_ID, "case_id": _CASE_ID, "feed_id": None},
    "petition_case": {"case_id": _CASE_ID},
    "case_clock": {"event_id": _EVENT_ID, "case_id": _CASE_ID},
    "case_evaluation": {"case_id": _CASE_ID},
    "case_route": {"case_id": _CASE_ID},
    "case_digest": {"case_id": _CASE_ID},
}


class _Load(NamedTuple):
    """Records, and where the first of them stand in their partitions."""

    begins: Offsets
    events: int


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Rates with a growing ledger, with short and long cases, with few and many nodes."""
    localstack.up([NATIONAL, *PROVINCES], say)
    return [*_ledgers(stack, plan), *_lengths(stack, plan), *_numbers_of_nodes(stack, plan)]


def _ledgers(stack: LocalStack, plan: Plan) -> list[Figure]:
    sizes = _FULL_SIZES if os.environ.get("FULL") == "1" else _SIZES
    seed = _load([_SEED_PROVINCE], events_together, _SEED_EVENTS)
    # Each run brings cases that the ledger does not have yet.
    loads = [_load([_OTHERS[run]], events_together) for run in range(plan.repeats)]
    rates: dict[int, list[float]] = {}
    for size in sizes:
        empty(stack, [NATIONAL])
        _run(stack, seed)
        _grow(stack, size)
        rates[size] = [_run(stack, load) for load, _ in zip(loads, plan.runs(), strict=True)]
    about = f"{_EVENTS:,} events caught up into a ledger of that size, one process"
    return _against_first({f"ledger of {size:,} events": rates[size] for size in sizes}, about)


def _lengths(stack: LocalStack, plan: Plan) -> list[Figure]:
    short, long = _OTHERS[plan.repeats], _OTHERS[plan.repeats + 1]
    loads = {
        "1 event a case": partial(_load, [short], partial(events_of_length, length=1)),
        f"{_LONG:,} events a case": partial(_load, [long], partial(events_of_length, length=_LONG)),
    }
    return _compared(stack, plan, loads, f"{_EVENTS:,} events, one process")


def _numbers_of_nodes(stack: LocalStack, plan: Plan) -> list[Figure]:
    few, many = PROVINCES[:3], PROVINCES
    make = partial(events_of_length, length=8)
    loads = {
        "4 nodes": partial(_load, few, make),
        f"{len(many) + 1} nodes": partial(_load, many, make),
    }
    about = f"{_EVENTS:,} events, 8 a case, from that many provinces to the centre, one process"
    return _compared(stack, plan, loads, about)


def _compared(
    stack: LocalStack, plan: Plan, loads: Mapping[str, Callable[[], _Load]], about: str
) -> list[Figure]:
    """Each load is made right before its run: behind it on its topics there must be no other."""
    rates: dict[str, list[float]] = {name: [] for name in loads}
    for _ in plan.runs(", ".join(loads)):
        for name, load in loads.items():
            empty(stack, [NATIONAL])
            rates[name].append(_run(stack, load()))
    return _against_first(rates, about)


def _against_first(rates: dict[str, list[float]], about: str) -> list[Figure]:
    (first, references), *others = rates.items()
    return [
        Figure(f"growth: {first}", "events/s", references, about),
        *(
            Figure(f"growth: {name}", "events/s", values, about, first, references, _GOAL)
            for name, values in others
        ),
    ]


def _load(provinces: Sequence[str], make: _Make, events: int = _EVENTS) -> _Load:
    before, sent = ends(NATIONAL), 0
    for province in provinces:
        made = make(open_office(stack_settings(province)), events // len(provinces))
        sent += publish(stack_settings(province), uplink(province), made)[0]
    after = ends(NATIONAL)
    return _Load({place: at for place, at in before.items() if after[place] != at}, sent)


def _run(stack: LocalStack, load: _Load) -> float:
    """Events per second on top of what the centre has, which must not be any of these."""
    begins = {**ends(NATIONAL), **load.begins}
    before = _asked(stack, _HELD, "truncate consumer_offset", "checkpoint")
    begin_at(NATIONAL, begins)
    counter = _APPLIED.format(sum(begins.values()))
    with processes(stack, NATIONAL, CONSUME) as (consumer,):
        rate = pace(stack.dsn(NATIONAL), counter, load.events, consumer)
    found = _asked(stack, _HELD) - before
    if found != load.events:
        raise PetitionLinkError(f"{load.events} events were sent and {found} came")
    return rate


def _grow(stack: LocalStack, events: int) -> None:
    """Copy what the centre holds until it holds `events` events."""
    copies = events // _asked(stack, _HELD) - 1
    with closing(connect(stack.dsn(NATIONAL), "bench")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for table, changed in _COPIED.items():
                cursor.execute(_COLUMNS, (table, [*changed]))
                (rest,) = cursor.fetchone() or ("",)
                made = {name: value for name, value in changed.items() if value}
                cursor.execute(
                    f"insert into {table} ({', '.join(made)}, {rest}) "
                    f"select {', '.join(made.values())}, {rest} "
                    f"from {table} cross join generate_series(1, %s) copy",
                    (copies,),
                )
            cursor.execute("vacuum analyze")


def _asked(stack: LocalStack, query: str, *first: str) -> int:
    with closing(connect(stack.dsn(NATIONAL), "bench")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in first:
                cursor.execute(statement)
            cursor.execute(query)
            (found,) = cursor.fetchone() or (0,)
    return int(found)
