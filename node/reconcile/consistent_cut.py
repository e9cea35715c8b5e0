"""The consistent cut 切面: what is in flight between this node and a peer at one instant.

It is read in one snapshot with the digests. An event is not missing while it is pending in an
outbox, is on the topic after the receiver's position, or was applied after the sender's cut.
"""

from typing import NamedTuple

from node.kafka.topic_names import topic_between
from node.postgres.connection import Cursor
from node.reconcile.protocol import MOST_IN_FLIGHT, Cut, InFlight
from node.store import outbox
from node.store.digests import Digest, bucket_of

_APPLIED = "select partition, next_offset from consumer_offset where topic = %s"
_PEER_POSITION = "select partition, next_offset from peer_position where topic = %s"
_IN_FLIGHT = """
    select o.event_id::text, e.case_id, e.digest
    from outbox o join case_event e using (event_id)
    where o.topic = %(topic)s and not o.resent and o.published_at is null
    union all
    select o.event_id::text, e.case_id, e.digest
    from unnest(%(partitions)s::integer[], %(positions)s::bigint[]) as p (partition, position)
    join outbox o on o.topic = %(topic)s and o.partition = p.partition
        and o.published_at is not null and o."offset" >= p.position and not o.resent
    join case_event e using (event_id)
    limit %(limit)s
"""
# A window in the order of arrival, whose pages BRIN finds; what came before was in the cut.
_LATE = """
    select e.event_id::text, e.case_id, e.digest
    from case_event e
    join unnest(%s::integer[], %s::bigint[]) as p (partition, sent)
        on e.source_partition = p.partition and e.source_offset >= p.sent
    where e.exchanged_at > now() - interval '15 minutes' and e.source_topic = %s
"""


class OnItsWay(NamedTuple):
    """An event in flight between two nodes."""

    event_id: str
    bucket: int
    digest: int


def take(cursor: Cursor, node: str, peer: str) -> Cut | None:
    """Return this node's cut towards `peer`; None if too much is in flight."""
    outgoing = topic_between(node, peer)
    receipts = peer_positions(cursor, node, peer)
    waiting = in_flight(cursor, outgoing, receipts)
    if waiting is None:
        return None
    sent = outbox.last_sent(cursor, outgoing)
    for partition, position in receipts.items():
        sent[partition] = max(position, sent.get(partition, 0))
    return Cut(
        applied=applied(cursor, node, peer),
        sent=sent,
        in_flight=[InFlight(event_id=i, bucket=b, digest=d) for i, b, d in waiting],
    )


def peer_positions(cursor: Cursor, node: str, peer: str) -> dict[int, int]:
    """Return the positions of `peer` on what this node sends it, by its latest account."""
    return _offsets(cursor, _PEER_POSITION, topic_between(node, peer))


def applied(cursor: Cursor, node: str, peer: str) -> dict[int, int]:
    """Return this node's position on each partition of what `peer` sends it."""
    return _offsets(cursor, _APPLIED, topic_between(peer, node))


def in_flight(cursor: Cursor, topic: str, positions: dict[int, int]) -> list[OnItsWay] | None:
    """Return outbox rows that are pending, or at or after the receiver's positions; None if there
    are too many."""
    partitions = [*outbox.last_sent(cursor, topic)]
    cursor.execute(
        _IN_FLIGHT,
        {
            "topic": topic,
            "partitions": partitions,
            "positions": [positions.get(partition, 0) for partition in partitions],
            "limit": MOST_IN_FLIGHT + 1,
        },
    )
    events = [_on_its_way(row) for row in cursor]
    return events if len(events) <= MOST_IN_FLIGHT else None


def late(cursor: Cursor, topic: str, sent: dict[int, int]) -> list[OnItsWay]:
    """Return what this node applied from `topic` at or after the sender's cut."""
    held = _offsets(cursor, _APPLIED, topic)
    if all(held[partition] <= sent.get(partition, 0) for partition in held):
        return []
    cursor.execute(_LATE, ([*held], [sent.get(partition, 0) for partition in held], topic))
    return [_on_its_way(row) for row in cursor]


def without(buckets: list[Digest], events: list[OnItsWay]) -> list[Digest]:
    left = [*buckets]
    for _, bucket, digest in events:
        number, sum_ = left[bucket]
        left[bucket] = Digest(number - 1, sum_ ^ digest)
    return left


def _offsets(cursor: Cursor, query: str, topic: str) -> dict[int, int]:
    cursor.execute(query, (topic,))
    return dict(cursor.fetchall())


def _on_its_way(row: tuple[str, str, int]) -> OnItsWay:
    event_id, case_id, digest = row
    return OnItsWay(event_id, bucket_of(case_id), digest)
