"""Restore own events 回归 from the node's own topics after a backup was restored.

Events that a node published after its backup was taken are on its own topic
(`node.kafka.topic_names.own_topic`; an older release of the centre wrote to the downlinks only) and
not in its database. Before a relay publishes a topic, it reads on from the offset that the database
knows; usually there is nothing, or events that were acknowledged and not marked. Events that the
ledger lacks are written as own events, and published again where others read them.

Reading ends by offsets, because the last offset of a partition may belong to the marker of a
transaction or to a record that compaction removed. While another producer's transaction is open,
records after it cannot be read; they may be ours, so its end is waited for (Kafka bounds it to 15
minutes). A relay does not wait: it skips that topic for now (`HeldUp`) and reads the others.
"""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import psycopg2

from cases.nodes import NATIONAL
from node.kafka import clients, library_patches
from node.kafka.clients import TopicPartition
from node.kafka.silence import HeldUp, Silence, UnreadRange
from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection, Cursor, own_connected
from node.runtime.errors import is_data_error
from node.runtime.settings import Settings
from node.store import outbox
from node.store.write_events import pack_own, write_events
from schemas.errors import Undecodable
from schemas.event import Event
from schemas.wire import read_event

log = logging.getLogger(__name__)

# SIGTERM is noticed after this time.
_POLL_MS = 500
_ANSWER_MS = 10_000
_KNOWN = "select partition, next_offset from own_position where topic = %s"
_SET_KNOWN = """
    insert into own_position (topic, partition, next_offset) values (%s, %s, %s)
    on conflict (topic, partition) do update set next_offset = excluded.next_offset
"""

_MARK = """
    with marked as (
        update outbox set published_at = now(), partition = %(partition)s, "offset" = sent."offset"
        from unnest(%(ids)s::uuid[], %(offsets)s::bigint[]) sent (event_id, "offset")
        where outbox.event_id = sent.event_id and topic = %(topic)s and published_at is null
        returning day
    )
    insert into flow_change (topic, day, published)
    select %(topic)s, day, count(*) from marked group by day
"""


_Located = tuple[Event, int]  # an event and its offset


def bring_home(
    settings: Settings,
    topics: Sequence[str],
    stop: threading.Event | None = None,
    *,
    whole: bool = False,
    waits: bool = True,
) -> int:
    """Write own events of these topics that the ledger lacks; return their number.

    With `whole` the topics are read from their beginning: the ledger has lost events. When `stop`
    is set, it ends early, and the topics were not read to their end. Without `waits` a topic on
    which another producer's transaction stays open is skipped, and `HeldUp` is raised after all
    others were read. Raises what the driver or client raises, and `Transient` when no more records
    come; then the uncommitted rest is read again by the next call.
    """
    stop = stop or threading.Event()
    with (
        own_connected(settings, "homecoming") as connection,
        closing(clients.plain_consumer(settings, "homecoming")) as client,
    ):
        reader = _TailReader(connection, client, settings.node, stop, waits)
        for tail in _tails(connection, client, topics, whole):
            reader.read(tail)
    if reader.written:
        log.warning(
            "%d own events that the database had lost came home from our topics", reader.written
        )
    if reader.held_up:
        raise HeldUp(reader.held_up)
    return reader.written


def _tails(
    connection: Connection, client: Any, topics: Sequence[str], whole: bool
) -> list[UnreadRange]:
    partitions = clients.partitions_of(client, topics)
    if not partitions:
        return []
    first = client.beginning_offsets(partitions, timeout_ms=_ANSWER_MS)
    end = library_patches.high_watermarks(client, partitions, timeout_ms=_ANSWER_MS)
    with connection, connection.cursor() as cursor:
        known = {} if whole else {topic: _known_offsets(cursor, topic) for topic in topics}
    tails = []
    for place in partitions:
        start = known.get(place.topic, {}).get(place.partition, 0)
        if start > end[place]:  # a topic that was made again begins again
            start = 0
        tails.append(UnreadRange(place, max(first[place], start), end[place]))
    return tails


def _known_offsets(cursor: Cursor, topic: str) -> dict[int, int]:
    """Return how far the database knows the topic: read before, or marked by a relay."""
    cursor.execute(_KNOWN, (topic,))
    known: dict[int, int] = dict(cursor.fetchall())
    for partition, sent in outbox.last_sent(cursor, topic).items():
        known[partition] = max(sent, known.get(partition, 0))
    return known


class _TailReader:
    """Reads tails one after another; `held_up` has the reason for each topic that was skipped."""

    def __init__(
        self, connection: Connection, client: Any, node: str, stop: threading.Event, waits: bool
    ) -> None:
        self._connection = connection
        self._client = client
        self._node = node
        self._stop = stop
        self._waits = waits
        self.written = 0
        self.held_up: dict[str, str] = {}

    def read(self, tail: UnreadRange) -> None:
        """Read one tail, unless its topic is held up already."""
        if tail.partition.topic in self.held_up:
            return
        try:
            for records, position in _batches(self._client, tail, self._stop, self._waits):
                self._take(records, tail.partition, position)
        except HeldUp as error:
            self.held_up |= error.reasons

    def _take(self, records: Sequence[Any], partition: TopicPartition, position: int) -> None:
        own = [
            (event, record.offset)
            for record in records
            if (event := _own(record, self._node)) is not None
        ]
        try:
            self.written += self._write(own, partition, position)
        except psycopg2.Error as error:
            if not is_data_error(error):
                raise
            self.written += self._write([*filter(self._is_storable, own)], partition, position)

    def _write(self, own: Sequence[_Located], partition: TopicPartition, position: int) -> int:
        """Write events with their offsets, and the position after them."""
        with self._connection, self._connection.cursor() as cursor:
            written = _write(cursor, self._node, [event for event, _ in own])
            if partition.topic == own_topic(NATIONAL):
                _mark(cursor, partition, {event.event_id: offset for event, offset in own})
            cursor.execute(_SET_KNOWN, (*partition, position))
        return written

    def _is_storable(self, located: _Located) -> bool:
        """Return whether Postgres can hold the event: anyone may write to a topic of ours."""
        event, _ = located
        try:
            with self._connection, self._connection.cursor() as cursor:
                _write(cursor, self._node, [event])
                self._connection.rollback()
        except psycopg2.Error as error:
            if not is_data_error(error):
                raise
            log.warning("a record on our own topic is not ours: event %s", event.event_id)
            return False
        return True


def _batches(
    client: Any, tail: UnreadRange, stop: threading.Event, waits: bool
) -> Iterator[tuple[list[Any], int]]:
    """Yield the records of each poll, possibly none, and the position after it."""
    position = tail.start
    client.assign([tail.partition])
    client.seek(tail.partition, position)
    silence = Silence(client, tail, waits)
    while position < tail.end and not stop.is_set():
        records = client.poll(timeout_ms=_POLL_MS).get(tail.partition, [])
        before, position = position, library_patches.next_offsets(client)[tail.partition]
        if position > before:
            silence = Silence(client, tail, waits)
            yield records, position
        else:
            silence.check(position)


def _own(record: Any, node: str) -> Event | None:
    try:
        event = read_event(record.key, record.value, record.headers)
    except Undecodable:
        return None  # this node did not write it
    return event if event.emitter == node else None


def _mark(cursor: Cursor, partition: TopicPartition, offset_of: Mapping[str, int]) -> None:
    """Mark events of the centre's own topic as published there."""
    if offset_of:
        values = {"ids": [*offset_of], "offsets": [*offset_of.values()], **partition._asdict()}
        cursor.execute(_MARK, values)


def _write(cursor: Cursor, node: str, events: Sequence[Event]) -> int:
    if not events:
        return 0
    written = write_events(cursor, node, pack_own(events), restores=True)
    return len(written.events) + len(written.restored)
