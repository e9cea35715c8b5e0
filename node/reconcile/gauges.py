"""The metrics of reconciliation, flows and receipts."""

from __future__ import annotations

from collections.abc import Iterable

from node.kafka.topic_names import topic_between
from node.postgres.connection import Cursor
from node.postgres.rows import read_value
from node.reconcile import flow_audit
from node.reconcile.flow_audit import Audited
from node.reconcile.results import results
from node.runtime.metrics import Metrics
from node.store import digests

_STAGES = ("committed", "published", "received", "applied", "dead_lettered")
_UNCONFIRMED = """
    select count(*) from peer_position p join outbox o on o.topic = p.topic
        and o.partition = p.partition and o."offset" >= p.next_offset
    where p.topic = %s and o.published_at is not null
"""


def show(cursor: Cursor, metrics: Metrics, node: str, peers: Iterable[str]) -> None:
    """Set the gauges from the database; needs a snapshot."""
    result_of = {result.peer: result for result in results(cursor)}
    for peer in sorted({*digests.peers(cursor), *result_of}):
        result = result_of.get(peer)
        metrics.reconciliation_mismatched_cases.labels(peer).set(result.mismatched if result else 0)
        at = (result and result.last_success_at) or 0
        metrics.reconciliation_last_success_timestamp_seconds.labels(peer).set(at)
    for peer in peers:
        _show_flow(metrics, [*flow_audit.outgoing(cursor, node, peer)])
        _show_flow(metrics, [*flow_audit.incoming(cursor, node, peer)])
        topic = topic_between(node, peer)
        unconfirmed = read_value(cursor, _UNCONFIRMED, (topic,))
        metrics.outbox_unconfirmed_records.labels(topic).set(unconfirmed)


def clear(metrics: Metrics) -> None:
    """Remove the samples, because another process of the node may set them."""
    for gauge in (
        metrics.reconciliation_mismatched_cases,
        metrics.reconciliation_last_success_timestamp_seconds,
        metrics.flow_events,
        metrics.flow_unaccounted_events,
        metrics.outbox_unconfirmed_records,
    ):
        gauge.clear()


def _show_flow(metrics: Metrics, days: list[Audited]) -> None:
    if not days:
        return
    source, destination = days[0].source, days[0].destination
    for stage in _STAGES:
        total = sum(getattr(day, stage) for day in days)
        metrics.flow_events.labels(source, destination, stage).set(total)
    # Days do not offset each other: one too few and one too many are two.
    total = sum(abs(day.unaccounted) for day in days)
    metrics.flow_unaccounted_events.labels(source, destination).set(total)
