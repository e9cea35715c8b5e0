"""Own events come home 回归 from the node's own topics: after a backup was put back.

What a node published after its backup was taken is on its own topic (`cases.topics.own_topic`; an
older release of the centre wrote to the downlinks only) and nowhere in its database. Before a relay
publishes a topic it reads on from where the database says that it stood; usually there is nothing,
or what was acknowledged and not marked. What the ledger lacks is written as the own events that
they are, and published once more where others read it.

The look ends by positions: what stands last in a partition may be no record but the marker of a
transaction, or gone by compaction. While another producer's transaction is open, records after it
cannot be read; they may be ours, so its end is waited for (Kafka bounds it to 15 minutes).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import psycopg2

from cases.nodes import NATIONAL
from cases.topics import own_topic
from node import kafka, outbox
from node.errors import Transient, is_data_error
from node.kafka import TopicPartition
from node.postgres import Connection, Cursor, own_connected
from node.settings import Settings
from node.write_events import pack_own, write_events
from schemas.errors import Undecodable
from schemas.event import Event
from schemas.headers import read_event

log = logging.getLogger(__name__)

# SIGTERM is heard after this.
_POLL_MS = 500
_ANSWER_MS = 10_000
# Without progress: first said, then given up, and begun again by whoever asked.
_SILENCE_SECONDS = 15.0
_TRANSACTION_SECONDS = 960.0
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


class Tail(NamedTuple):
    """The records of a partition that the database does not know of: from `start` to `end`."""

    partition: TopicPartition
    start: int
    end: int


def bring_home(
    settings: Settings,
    topics: Sequence[str],
    stop: threading.Event | None = None,
    *,
    whole: bool = False,
) -> int:
    """Write own events that stand on these topics of ours and not in the ledger; how many.

    With `whole` the topics are read from their beginning: the ledger has lost what it had. When
    `stop` is set it ends early: then the caller must not take the topics for read. Raises what the
    driver or client raises, and `Transient` when nothing comes any more; then what was not
    committed is read again.
    """
    stop = stop or threading.Event()
    with (
        own_connected(settings, "homecoming") as connection,
        closing(kafka.plain_consumer(settings, "homecoming")) as client,
    ):
        tails = _tails(connection, client, topics)
        if whole:
            first = client.beginning_offsets(
                [tail.partition for tail in tails], timeout_ms=_ANSWER_MS
            )
            tails = [tail._replace(start=first[tail.partition]) for tail in tails]
        written = sum(_read(connection, client, settings.node, tail, stop) for tail in tails)
    if written:
        log.warning("%d own events that the database had lost came home from our topics", written)
    return written


def _tails(connection: Connection, client: Any, topics: Iterable[str]) -> list[Tail]:
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(client.partitions_for_topic(topic) or ())
    ]
    if not partitions:
        return []
    first = client.beginning_offsets(partitions, timeout_ms=_ANSWER_MS)
    end = kafka.high_watermarks(client, partitions, timeout_ms=_ANSWER_MS)
    with connection, connection.cursor() as cursor:
        stood = {topic: _stood(cursor, topic) for topic in topics}
        for one in partitions:  # a topic that was made anew begins again
            if stood[one.topic].get(one.partition, 0) > end[one]:
                stood[one.topic][one.partition] = 0
    return [
        Tail(one, max(first[one], stood[one.topic].get(one.partition, 0)), end[one])
        for one in partitions
    ]


def _stood(cursor: Cursor, topic: str) -> dict[int, int]:
    """How far the database knows the topic: read before, or marked by a relay."""
    cursor.execute(_STOOD, (topic,))
    stood: dict[int, int] = dict(cursor.fetchall())
    for partition, sent in outbox.last_sent(cursor, topic).items():
        stood[partition] = max(sent, stood.get(partition, 0))
    return stood


def _read(connection: Connection, client: Any, node: str, tail: Tail, stop: threading.Event) -> int:
    written = 0
    for records, position in _batches(client, tail, stop):
        found = [
            (event, record.offset)
            for record in records
            if (event := _own(record, node)) is not None
        ]
        try:
            written += _written(connection, node, tail.partition, found, position)
        except psycopg2.Error as error:
            if not is_data_error(error):
                raise
            good = _storable(connection, node, found)
            written += _written(connection, node, tail.partition, good, position)
    return written


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


def _batches(client: Any, tail: Tail, stop: threading.Event) -> Iterator[tuple[list[Any], int]]:
    """The records of each step, and the position after it; a step may be without records."""
    position = tail.start
    client.assign([tail.partition])
    client.seek(tail.partition, position)
    silence = _Silence(client, tail)
    while position < tail.end and not stop.is_set():
        records = client.poll(timeout_ms=_POLL_MS).get(tail.partition, [])
        before, position = position, kafka.next_offsets(client)[tail.partition]
        if position > before:
            silence = _Silence(client, tail)
            yield records, position
        else:
            silence.check(position)


class _Silence:
    """Bounds the wait for a partition that gives nothing."""

    def __init__(self, client: Any, tail: Tail) -> None:
        self._client = client
        self._tail = tail
        self._began = time.monotonic()
        self._said = False

    def check(self, position: int) -> None:
        """Raise `Transient` once nothing more can be expected at `position`, or a Kafka error."""
        seconds = time.monotonic() - self._began
        if seconds < _SILENCE_SECONDS or (self._said and seconds < _TRANSACTION_SECONDS):
            return
        readable = self._client.end_offsets([self._tail.partition], timeout_ms=_ANSWER_MS)
        what = _held_up(self._tail, position, readable[self._tail.partition])
        if self._said or position < readable[self._tail.partition]:
            raise Transient(what, "kafka")
        log.warning("%s; waiting for its end", what)
        self._said = True


def _held_up(tail: Tail, position: int, readable: int) -> str:
    place = f"{tail.partition.topic} partition {tail.partition.partition}"
    if position < readable:
        return f"{place} gives no records from offset {position} on, though it ends at {readable}"
    return (
        f"{place} cannot be read from offset {position} to {tail.end}: a producer's transaction is "
        "open there (`kafka-transactions.sh find-hanging` names one that never ends)"
    )


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
