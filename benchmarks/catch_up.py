"""Catch-up 追赶: consumer processes at the centre, everything already on the topic.

As it ships: decoding, fold, isolation, compare-and-set of the offsets, conflict marks, digests and
accounts, all in effect. The same rows by `psql` in the same run are the limit that Postgres itself
sets here.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from benchmarks import ledger_alone, limit
from benchmarks.events import EVENTS_PER_CASE, events_apart, events_together
from benchmarks.figures import Figure, Goal
from benchmarks.filling import publish
from benchmarks.home import begin_at_end, empty, peak_megabytes, processes
from benchmarks.pace import pace
from benchmarks.plan import Plan
from cases.nodes import NATIONAL
from node.kafka.topic_names import uplink
from node.keys.office import Office, open_office
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import connected
from node.runtime.errors import PetitionLinkError
from schemas.event import Event

CONSUME = ("node.entrypoints.cli", "consume", "--node", NATIONAL)

_Order = Callable[[Office, int], Iterator[Event]]
# Positions move in the transaction that applies the records; a topic of this stack begins at 0.
_APPLIED = "select coalesce(sum(next_offset), 0)::bigint from consumer_offset where topic = '{}'"
_WRITTEN = """
    select (select count(*) from case_event),
           (select count(*) from petition_case where conflicts = 0 and not incomplete)
"""


class Flow(NamedTuple):
    """What lies on a topic."""

    topic: str
    events: int
    event_bytes: float


def fill(province: str, make: _Order, events: int) -> Flow:
    """Put invented events on the uplink of `province`."""
    settings = stack_settings(province)
    sent, size = publish(settings, uplink(province), make(open_office(settings), events))
    return Flow(uplink(province), sent, size)


class Run(NamedTuple):
    """One catch-up: events per second of all processes together, the most memory of one in MB."""

    rate: float
    peak: float


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Events per second of one process and of several against psql, for two orders of events."""
    together = fill("370000", events_together, plan.events)
    script = limit.prepare(stack, together.topic, together.events)
    figures = _measure_order(stack, plan, together, script, "a case's events together", 3)
    figures += _measure_ledger(stack, plan, together, script)
    apart = fill("110000", events_apart, plan.events)
    script = limit.prepare(stack, apart.topic, apart.events)
    return figures + _measure_order(stack, plan, apart, script, "a case's events apart", 2)


def _measure_order(
    stack: LocalStack, plan: Plan, flow: Flow, script: limit.Script, order: str, most: int
) -> list[Figure]:
    """One process, two, and up to `most`, and psql, in every round."""
    limits: list[float] = []
    runs: dict[int, list[Run]] = {number: [] for number in range(1, most + 1)}
    for _ in plan.runs(f"catch-up, {order}"):
        limits.append(limit.run(stack, script.whole, flow.events))
        for number, several in runs.items():
            several.append(run(stack, flow, number))
    rates = {number: [one.rate for one in several] for number, several in runs.items()}
    peaks = [one.peak for one in runs[1]]
    what, told = f"catch-up, {order}", about(flow)
    return [
        Figure(f"{what}, one process", "events/s", rates[1], told, limit.NAME, limits, Goal(0.6)),
        Figure(f"{what}, two processes", "events/s", rates[2], told, limit.NAME, limits, Goal(0.8)),
        *(
            Figure(
                f"– {number} processes of one group",
                *("events/s", rates[number], told, "one process", rates[1]),
                Goal(1.3) if number == 2 else None,
            )
            for number in range(2, most + 1)
        ),
        Figure(
            "– memory of the one process",
            *("MB", peaks, "peak resident size"),
            goal=Goal(200, of_ratio=False, below=True),
        ),
    ]


def _measure_ledger(
    stack: LocalStack, plan: Plan, flow: Flow, script: limit.Script
) -> list[Figure]:
    limits, rates = [], []
    for _ in plan.runs("catch-up, ledger alone"):
        limits.append(limit.run(stack, script.ledger_alone, flow.events))
        rates.append(run_ledger_alone(stack, flow).rate)
    told = f"{about(flow)}; ledger and offset, without fold, projection and digests"
    return [
        Figure("catch-up, ledger alone", "events/s", rates, told, limit.NAME, limits, Goal(0.7))
    ]


def run(stack: LocalStack, flow: Flow, number: int = 1) -> Run:
    """Catch up with `number` processes of one group; checks what they wrote."""
    found = _run(stack, flow, CONSUME, number)
    _check(stack, (flow.events, flow.events // EVENTS_PER_CASE))
    return found


def run_ledger_alone(stack: LocalStack, flow: Flow) -> Run:
    """Catch up into the ledger alone with one process; checks what it wrote."""
    found = _run(stack, flow, (ledger_alone.__name__,), 1)
    _check(stack, (flow.events, 0))
    return found


def _run(stack: LocalStack, flow: Flow, command: Sequence[str], number: int) -> Run:
    empty(stack, [NATIONAL])
    begin_at_end(NATIONAL, but=flow.topic)
    counter = _APPLIED.format(flow.topic)
    with processes(stack, NATIONAL, command, number) as consumers:
        rate = pace(stack.dsn(NATIONAL), counter, flow.events, *consumers)
        return Run(rate, max(peak_megabytes(consumer.pid) for consumer in consumers))


def _check(stack: LocalStack, expected: tuple[int, int]) -> None:
    """A fast consumer that lost or misjudged something would be no result."""
    with connected(stack.dsn(NATIONAL), "bench") as connection, connection.cursor() as cursor:
        cursor.execute(_WRITTEN)
        found = cursor.fetchone()
    if found != expected:
        raise PetitionLinkError(f"the centre has {found} events and cases, not {expected}")


def about(flow: Flow) -> str:
    """What a reader must know of a flow."""
    return f"{flow.events:,} events of {flow.event_bytes:,.0f} bytes, {EVENTS_PER_CASE} a case"
