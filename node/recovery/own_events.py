"""Own events come home 回归 from the node's own topics: after a backup was put back.

What a node published after its backup was taken is on its own topic
(`node.kafka.topic_names.own_topic`; an older release of the centre wrote to the downlinks only) and
nowhere in its database. Before a relay publishes a topic it reads on from where the database says
that it stood; usually there is nothing, or what was acknowledged and not marked. What the ledger
lacks is written as the own events that they are, and published once more where others read it.

The look ends by positions: what stands last in a partition may be no record but the marker of a
transaction, or gone by compaction. While another producer's transaction is open, records after it
cannot be read; they may be ours, so its end is waited for (Kafka bounds it to 15 minutes). A relay
does not wait there: it leaves that topic out for the time being (`HeldUp`), and reads the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

# SIGTERM is heard after this.
_POLL_MS = 500
_ANSWER_MS = 10_000
_STOOD = "select partition, next_offset from own_position where topic = %s"
_STANDS = """
    insert into own_position (topic, partition, next_offset) values (%s, %s, %s)
    on conflict (topic, partition) do update set next_offset = excluded.next_offset
"""

_MARK = """
    with marked as (
        update outbox set published_at = now(), partition = %(partition)s, "offset" = stood."offset"
        from unnest(%(ids)s::uuid[], %(offsets)s::bigint[]) stood (event_id, "offset")
        where outbox.event_id = stood.event_id and topic = %(topic)s and published_at is null
        returning day
    )
    insert into flow_change (topic, day, published)
    select %(topic)s, day, count(*) from marked group by day
"""


def bring_home(
    settings: Settings,
    topics: Sequence[str],
    stop: threading.Event | None = None,
    *,
    whole: bool = False,
    waits: bool = True,
) -> int:
    """Write own events that stand on these topics of ours and not in the ledger; how many.

    With `whole` the topics are read from their beginning: the ledger has lost what it had. When
    `stop` is set it ends early: then the caller must not take the topics for read. Without `waits`
    a topic on which another producer's transaction stays open is left out, and `HeldUp` is raised
    after all others were read. Raises what the driver or client raises, and `Transient` when
    nothing comes any more; then what was not committed is read again.
    """
    stop = stop or threading.Event()
    with (
        own_connected(settings, "homecoming") as connection,
        closing(clients.plain_consumer(settings, "homecoming")) as client,
    ):
        tails = _tails(connection, client, topics)
        if whole:
            first = client.beginning_offsets(
                [tail.partition for tail in tails], timeout_ms=_ANSWER_MS
            )
            tails = [tail._replace(start=first[tail.partition]) for tail in tails]
        reader = _Reader(connection, client, settings.node, stop, waits)
        for tail in tails:
            reader.read(tail)
    if reader.written:
        log.warning(
            "%d own events that the database had lost came home from our topics", reader.written
        )
    if reader.held_up:
        raise HeldUp(reader.held_up)
    return reader.written


def _tails(connection: Connection, client: Any, topics: Iterable[str]) -> list[UnreadRange]:
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(client.partitions_for_topic(topic) or ())
    ]
    if not partitions:
        return []
    first = client.beginning_offsets(partitions, timeout_ms=_ANSWER_MS)
    end = library_patches.high_watermarks(client, partitions, timeout_ms=_ANSWER_MS)
    with connection, connection.cursor() as cursor:
        stood = {topic: _stood(cursor, topic) for topic in topics}
        for one in partitions:  # a topic that was made anew begins again
            if stood[one.topic].get(one.partition, 0) > end[one]:
                stood[one.topic][one.partition] = 0
    return [
        UnreadRange(one, max(first[one], stood[one.topic].get(one.partition, 0)), end[one])
        for one in partitions
    ]


def _stood(cursor: Cursor, topic: str) -> dict[int, int]:
    """How far the database knows the topic: read before, or marked by a relay."""
    cursor.execute(_STOOD, (topic,))
    stood: dict[int, int] = dict(cursor.fetchall())
    for partition, sent in outbox.last_sent(cursor, topic).items():
        stood[partition] = max(sent, stood.get(partition, 0))
    return stood


class _Reader:
    """Reads tails one after another; `held_up` says of each topic that was left out why."""

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
        found = [
            (event, record.offset)
            for record in records
            if (event := _own(record, self._node)) is not None
        ]
        try:
            self.written += _written(self._connection, self._node, partition, found, position)
        except psycopg2.Error as error:
            if not is_data_error(error):
                raise
            good = _storable(self._connection, self._node, found)
            self.written += _written(self._connection, self._node, partition, good, position)


def _written(
    connection: Connection,
    node: str,
    partition: TopicPartition,
    found: Sequence[tuple[Event, int]],
    position: int,
) -> int:
    """Write events with their offsets, and the position after them."""
    with connection, connection.cursor() as cursor:
        written = _write(cursor, node, [event for event, _ in found])
        if partition.topic == own_topic(NATIONAL):
            _mark(cursor, partition, {event.event_id: at for event, at in found})
        cursor.execute(_STANDS, (*partition, position))
    return written


def _storable(
    connection: Connection, node: str, found: Sequence[tuple[Event, int]]
) -> list[tuple[Event, int]]:
    """Those that Postgres can hold: this node wrote no other, but anyone may write to a topic."""
    good = []
    for event, at in found:
        try:
            with connection, connection.cursor() as cursor:
                _write(cursor, node, [event])
                connection.rollback()
        except psycopg2.Error as error:
            if not is_data_error(error):
                raise
            log.warning("a record on our own topic is none of ours: event %s", event.event_id)
        else:
            good.append((event, at))
    return good


def _batches(
    client: Any, tail: UnreadRange, stop: threading.Event, waits: bool
) -> Iterator[tuple[list[Any], int]]:
    """The records of each step, and the position after it; a step may be without records."""
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
        return None  # nothing that this node wrote
    return event if event.emitter == node else None


def _mark(cursor: Cursor, partition: TopicPartition, offset_of: Mapping[str, int]) -> None:
    """Events read from the centre's own topic stand there: they are not published once more."""
    if offset_of:
        values = {"ids": [*offset_of], "offsets": [*offset_of.values()], **partition._asdict()}
        cursor.execute(_MARK, values)


def _write(cursor: Cursor, node: str, events: Sequence[Event]) -> int:
    if not events:
        return 0
    written = write_events(cursor, node, pack_own(events), restores=True)
    return len(written.events) + len(written.restored)
