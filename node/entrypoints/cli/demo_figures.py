"""The figures that the demo shows of a node, read from its database and its metrics.

Two nodes are compared by counts and digests over all events and folded states of the cases they
share. That needs both databases; nodes prove it to each other by `node/reconcile/` 对账.
"""

from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from cases.nodes import NATIONAL, NODES
from node.entrypoints.cli.node_processes import metrics_text
from node.localstack import LocalStack
from node.postgres.connection import connected

_FIGURES = """
    select (select count(*) from petition_case),
           (select count(*) from case_event),
           (select count(*) from outbox where published_at is null),
           (select count(*) from petition_case where finding is null),
           (select percentile_cont(array[0.5, 0.99]) within group
               (order by extract(epoch from exchanged_at - recorded_at) * 1000)
            from case_event where exchanged_at is not null and recorded_at >= to_timestamp(%s))
"""
# A province shares all its cases with the centre; the centre shares those it began to send there.
_SHARED_AT_CENTRE = "(select case_id from case_route where destination = %(peer)s)"
_SHARED_AT_PROVINCE = "(select case_id from petition_case)"
_SHARED = """
    select
        (select count(*) from petition_case where case_id in {shared}),
        (select count(*) from case_event where case_id in {shared}),
        (select coalesce(md5(string_agg(md5(event_id || md5(value)), '' order by event_id)), '')
         from case_event where case_id in {shared}),
        (select coalesce(md5(string_agg(md5(case_id || fold::text), '' order by case_id)), '')
         from petition_case where case_id in {shared})
"""


class DemoFigures(NamedTuple):
    """One node's row of the table; lag in records, latencies in milliseconds."""

    node: str
    cases: int
    events: int
    pending: int
    unidentified: int
    latencies: list[float] | None
    lag: int | None
    reconciled: bool

    @property
    def is_quiet(self) -> bool:
        """Nothing waits for Kafka or, at the centre, to be found a first or a repeat."""
        waits = self.pending or (self.node == NATIONAL and self.unidentified)
        return not waits and self.lag == 0 and self.reconciled

    def cells(self) -> tuple[object, ...]:
        """Return the printed row."""
        p50, p99 = (f"{value:.1f}" for value in self.latencies) if self.latencies else (None, None)
        equal = "–" if self.node == NATIONAL else "yes" if self.reconciled else "NO"
        name = NODES[self.node].chinese
        return (name, self.cases, self.events, self.pending, self.lag, p50, p99, equal)


def read_figures(stack: LocalStack, node: str, since: float) -> DemoFigures:
    """Return the figures of `node`; latencies of events recorded after `since` (epoch seconds)."""
    with connected(stack.dsn(node), "demo") as connection, connection.cursor() as cursor:
        cursor.execute(_FIGURES, (since,))
        counts = cursor.fetchone() or ()
    lag = _lag_records(stack, node)
    return DemoFigures._make((node, *counts, lag, _is_reconciled(stack, node)))


def _lag_records(stack: LocalStack, node: str) -> int | None:
    """Return the node's lag over all partitions from its metrics; None if it does not answer."""
    text = metrics_text(stack, node)
    if text is None:
        return None
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "petitionlink_consumer_lag_records"
    )


def _is_reconciled(stack: LocalStack, node: str) -> bool:
    """Return whether a province and the centre hold the same of the cases they share."""
    if node == NATIONAL:
        return True
    centre = _shared(stack.dsn(NATIONAL), _SHARED_AT_CENTRE, node)
    return centre == _shared(stack.dsn(node), _SHARED_AT_PROVINCE, node)


def _shared(dsn: str, shared: str, peer: str) -> tuple[object, ...] | None:
    """Return counts of the shared cases and events, and digests over events and states."""
    with connected(dsn, "demo") as connection, connection.cursor() as cursor:
        cursor.execute(_SHARED.format(shared=shared), {"peer": peer})
        return cursor.fetchone()
