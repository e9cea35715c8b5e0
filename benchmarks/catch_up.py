"""Catch-up 追赶: one consumer process at the centre, everything already on the topic.

As it ships: decoding, fold, isolation, compare-and-set of the offsets, all in effect. The same
rows by `psql` in the same run are the limit that Postgres itself sets here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks import limit
from benchmarks.events import EVENTS_PER_CASE, events_apart, events_together
from benchmarks.figures import Figure
from benchmarks.filling import publish
from benchmarks.home import begin_at_end, empty, peak_megabytes, process
from benchmarks.pace import pace
from benchmarks.plan import Plan
from cases.nodes import NATIONAL
from cases.topics import uplink
from node.errors import PetitionLinkError
from node.localstack import LocalStack
from node.postgres import connected
from node.settings import load_settings
from producers.office import Office, open_office
from schemas.event import Event

_Order = Callable[[Office, int], Iterator[Event]]
# Each order has a province and so a topic of its own.
_ORDERS: tuple[tuple[str, str, _Order], ...] = (
    ("a case's events together", "370000", events_together),
    ("a case's events apart", "110000", events_apart),
)
# Positions move in the transaction that applies the records; a topic of this stack begins at 0.
_APPLIED = "select coalesce(sum(next_offset), 0)::bigint from consumer_offset where topic = '{}'"
_WRITTEN = """
    select (select count(*) from case_event),
           (select count(*) from petition_case where conflicts = 0 and not incomplete)
"""


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Events per second of one process against psql, and its memory, for two orders of events."""
    figures = []
    for order, province, make in _ORDERS:
        topic, settings = uplink(province), load_settings(province)
        events, size = publish(settings, topic, make(open_office(settings), plan.events))
        script = limit.prepare(stack, topic, events)
        rates, peaks, limits = [], [], []
        for _ in plan.runs(f"catch-up, {order}"):
            limits.append(limit.run(stack, script, events))
            rate, peak = run(stack, topic, events)
            rates.append(rate)
            peaks.append(peak)
        about = f"{events:,} events of {size:,.0f} bytes, {EVENTS_PER_CASE} a case, one process"
        figures += [
            Figure(f"catch-up, {order}", "events/s", rates, about, limit.NAME, limits),
            Figure("– memory of that consumer", "MB", peaks, "peak resident size"),
        ]
    return figures


def run(stack: LocalStack, topic: str, events: int) -> tuple[float, float]:
    """Events per second and peak megabytes of one consumer that brings the whole topic."""
    empty(stack, [NATIONAL])
    begin_at_end(NATIONAL, but=topic)
    with process(stack, NATIONAL, "consume") as consumer:
        rate = pace(stack.dsn(NATIONAL), _APPLIED.format(topic), events, consumer)
        peak = peak_megabytes(consumer.pid)
    _check(stack, events)
    return rate, peak


def _check(stack: LocalStack, events: int) -> None:
    """A fast consumer that lost or misjudged something would be no result."""
    with connected(stack.dsn(NATIONAL), "bench") as connection, connection.cursor() as cursor:
        cursor.execute(_WRITTEN)
        found = cursor.fetchone()
    if found != (events, events // EVENTS_PER_CASE):
        raise PetitionLinkError(f"{events} events were sent and the centre has {found}")
