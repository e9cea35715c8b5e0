"""The audit 清点 compares the numbers of both ends of each flow, by day, to detect loss.

    committed = pending + in flight + applied at the receiver + dead-lettered there + unaccounted

`unaccounted` is 0 unless something is lost (above 0) or more was applied than was ever sent (below
0). A dead letter of a record that no outbox sent does not count. The sender computes it, because it
knows what is in flight, and tells the receiver.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, NamedTuple

from node.kafka.topic_names import peers_of, topic_between
from node.postgres.connection import Cursor
from node.postgres.statements import read_value
from node.reconcile.results import results
from node.runtime.metrics import Metrics
from node.store import digests, flow_counts
from node.store.flow_counts import FlowTotals


class Audited(NamedTuple):
    """The events of a day of the flow from `source` to `destination`.

    `received`, `applied` and `dead_lettered` are the receiver's figures, `committed` and
    `published` the sender's, whichever of the two this node is. Only the sender knows `in_flight`.
    """

    source: str
    destination: str
    day: date
    committed: int
    published: int
    received: int
    applied: int
    duplicates: int
    dead_lettered: int
    pending: int
    in_flight: int | None
    unaccounted: int


_REPORT = """
    select day, committed, published, received, applied, duplicates, dead_lettered, unaccounted
    from flow_report where topic = %s
"""
_PENDING = """
    select day, count(*) from outbox
    where topic = %s and published_at is null and not resent group by day
"""
_IN_FLIGHT = """
    select o.day, count(*)
    from (select number as partition,
                 coalesce((select next_offset from peer_position
                           where topic = %(topic)s and partition = number), 0) as position
          from generate_series(0, (select max(partition) from outbox
               where topic = %(topic)s and published_at is not null)) number) p
    join outbox o on o.topic = %(topic)s and o.partition = p.partition
        and o.published_at is not null and o."offset" >= p.position and not o.resent
    group by o.day
"""
_NOTHING = (0,) * 7
_STAGES = ("committed", "published", "received", "applied", "dead_lettered")
_UNCONFIRMED = """
    select count(*) from peer_position p join outbox o on o.topic = p.topic
        and o.partition = p.partition and o."offset" >= p.next_offset
    where p.topic = %s and o.published_at is not null
"""


def outgoing(cursor: Cursor, node: str, peer: str) -> Iterator[Audited]:
    """Yield what this node sent to `peer`, by day; needs a snapshot."""
    topic = topic_between(node, peer)
    pending = _by_day(cursor, _PENDING, (topic,))
    in_flight = _by_day(cursor, _IN_FLIGHT, {"topic": topic})
    for day, sent, said in _both_ends(cursor, topic):
        received, applied, duplicates, dead = said[2:6]
        waits, flies = pending.get(day, 0), in_flight.get(day, 0)
        missing = sent.committed - waits - flies - applied
        yield Audited(
            *(node, peer, day, sent.committed, sent.published),
            *(received, applied, duplicates, dead, waits, flies),
            missing if missing < 0 else max(0, missing - dead),
        )


def incoming(cursor: Cursor, node: str, peer: str) -> Iterator[Audited]:
    """Yield what `peer` sent to this node, by day, with the figures that it told last."""
    for day, got, said in _both_ends(cursor, topic_between(peer, node)):
        committed, published = said[:2]
        yield Audited(
            *(peer, node, day, committed, published),
            *(got.received, got.applied, got.duplicates, got.dead_lettered),
            *(committed - published, None, said[6]),
        )


def audit(cursor: Cursor, node: str) -> Iterator[Audited]:
    """Yield every flow of this node, both ways, by day; needs a snapshot."""
    for peer in peers_of(node):
        yield from outgoing(cursor, node, peer)
        yield from incoming(cursor, node, peer)


def _both_ends(cursor: Cursor, topic: str) -> Iterator[tuple[date, FlowTotals, tuple[int, ...]]]:
    """Yield this node's figures and those that the peer reported, by day."""
    own = flow_counts.days(cursor, topic)
    cursor.execute(_REPORT, (topic,))
    reported = {day: tuple(figures) for day, *figures in cursor}
    for day in sorted(own.keys() | reported):
        yield day, own.get(day, FlowTotals()), reported.get(day, _NOTHING)


def _by_day(cursor: Cursor, query: str, values: Any) -> dict[date, int]:
    cursor.execute(query, values)
    return dict(cursor.fetchall())


def show_gauges(cursor: Cursor, metrics: Metrics, node: str, peers: Iterable[str]) -> None:
    """Set the gauges from the database; needs a snapshot."""
    result_of = {result.peer: result for result in results(cursor)}
    for peer in sorted({*digests.peers(cursor), *result_of}):
        result = result_of.get(peer)
        metrics.reconciliation_mismatched_cases.labels(peer).set(result.mismatched if result else 0)
        at = (result and result.last_success_at) or 0
        metrics.reconciliation_last_success_timestamp_seconds.labels(peer).set(at)
    for peer in peers:
        _show_flow(metrics, [*outgoing(cursor, node, peer)])
        _show_flow(metrics, [*incoming(cursor, node, peer)])
        topic = topic_between(node, peer)
        unconfirmed = read_value(cursor, _UNCONFIRMED, (topic,))
        metrics.outbox_unconfirmed_records.labels(topic).set(unconfirmed)


def clear_gauges(metrics: Metrics) -> None:
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
