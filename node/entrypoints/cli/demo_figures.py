"""What the demo shows of a node, each figure from its database or its metrics."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from cases.nodes import NATIONAL, NODES
from node.entrypoints.cli.demo_compare import at_centre, at_province
from node.entrypoints.cli.node_processes import metrics_text
from node.localstack import LocalStack
from node.postgres.connection import Cursor, connected

_COUNTS = "select (select count(*) from petition_case), count(*) from case_event"
_LATENCY = """
    select percentile_cont(array[0.5, 0.99]) within group
        (order by extract(epoch from exchanged_at - recorded_at) * 1000)
    from case_event where exchanged_at is not null and recorded_at >= to_timestamp(%s)
"""
# What is still owed: rows to publish, and at the centre the findings of its own routine.
_PENDING = "select count(*) from outbox where published_at is null"
_UNIDENTIFIED = "select count(*) from petition_case where finding is null"


class Figures(NamedTuple):
    """One node's row of the table; lag in records, latencies in milliseconds."""

    node: str
    cases: int
    events: int
    pending: int
    lag: int | None
    latencies: list[float] | None
    reconciled: bool

    def cells(self) -> tuple[object, ...]:
        """The row as it is printed."""
        p50, p99 = (f"{value:.1f}" for value in self.latencies) if self.latencies else (None, None)
        equal = "–" if self.node == NATIONAL else "yes" if self.reconciled else "NO"
        return (
            NODES[self.node].chinese,
            *(self.cases, self.events, self.pending, self.lag, p50, p99, equal),
        )


def figures(stack: LocalStack, node: str, since: float) -> Figures:
    """The figures of `node`; latencies of the events recorded after `since` (epoch seconds)."""
    with connected(stack.dsn(node), "demo") as connection, connection.cursor() as cursor:
        cursor.execute(_COUNTS)
        counts = cursor.fetchone() or (0, 0)
        cursor.execute(_PENDING)
        (pending,) = cursor.fetchone() or (0,)
        cursor.execute(_LATENCY, (since,))
        (latencies,) = cursor.fetchone() or (None,)
    lag = lag_records(stack, node)
    return Figures._make((node, *counts, pending, lag, latencies, reconciled(stack, node)))


def reconciled(stack: LocalStack, node: str) -> bool:
    """Whether a province and the centre hold the same of the cases they share."""
    if node == NATIONAL:
        return True
    with (
        connected(stack.dsn(NATIONAL), "demo") as centre,
        connected(stack.dsn(node), "demo") as own,
    ):
        return at_centre(centre, node) == at_province(own)


def lag_records(stack: LocalStack, node: str) -> int | None:
    """The sum of the node's lag over its partitions, from its metrics; None if it is silent."""
    text = metrics_text(stack, node)
    if text is None:
        return None
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "petitionlink_consumer_lag_records"
    )


def quiet(stack: LocalStack, node: str) -> bool:
    """Whether the node's outbox and lag are empty, its peer holds the same, and at the centre
    every case was found to be a first or a repeat."""
    with connected(stack.dsn(node), "demo") as connection, connection.cursor() as cursor:
        waiting = [_count(cursor, _PENDING)]
        if node == NATIONAL:
            waiting.append(_count(cursor, _UNIDENTIFIED))
    return not any(waiting) and lag_records(stack, node) == 0 and reconciled(stack, node)


def _count(cursor: Cursor, query: str) -> int:
    cursor.execute(query)
    (number,) = cursor.fetchone() or (0,)
    return int(number)
