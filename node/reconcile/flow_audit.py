"""The audit 清点 compares the numbers of both ends of each flow, by day, to detect loss.

    committed = pending + in flight + applied at the receiver + dead-lettered there + unaccounted

`unaccounted` is 0 unless something is lost (above 0) or more was applied than was ever sent (below
0). A dead letter of a record that no outbox sent does not count. The sender computes it, because it
knows what is in flight, and tells the receiver.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from node.kafka.topic_names import peers_of, topic_between
from node.postgres.connection import Cursor
from node.store import flow_counts
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


def outgoing(cursor: Cursor, node: str, peer: str) -> Iterator[Audited]:
    """Yield what this node sent to `peer`, by day; needs a snapshot."""
    topic = topic_between(node, peer)
    own = flow_counts.days(cursor, topic)
    told = _reports(cursor, topic)
    pending = _by_day(cursor, _PENDING, (topic,))
    in_flight = _by_day(cursor, _IN_FLIGHT, {"topic": topic})
    for day in sorted(own.keys() | told.keys()):
        sent, said = own.get(day, FlowTotals()), told.get(day, _NOTHING)
        received, applied, duplicates, dead = said[2:6]
        waits, flies = pending.get(day, 0), in_flight.get(day, 0)
        yield Audited(
            *(node, peer, day, sent.committed, sent.published),
            *(received, applied, duplicates, dead, waits, flies),
            _unaccounted(sent.committed - waits - flies - applied, dead),
        )


def _unaccounted(missing: int, dead: int) -> int:
    return missing if missing < 0 else max(0, missing - dead)


def incoming(cursor: Cursor, node: str, peer: str) -> Iterator[Audited]:
    """Yield what `peer` sent to this node, by day, with the figures that it told last."""
    topic = topic_between(peer, node)
    own = flow_counts.days(cursor, topic)
    told = _reports(cursor, topic)
    for day in sorted(own.keys() | told.keys()):
        got, said = own.get(day, FlowTotals()), told.get(day, _NOTHING)
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


def _reports(cursor: Cursor, topic: str) -> dict[date, tuple[int, ...]]:
    cursor.execute(_REPORT, (topic,))
    return {day: tuple(figures) for day, *figures in cursor}


def _by_day(cursor: Cursor, query: str, values: Any) -> dict[date, int]:
    cursor.execute(query, values)
    return dict(cursor.fetchall())
