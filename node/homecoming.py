"""Own events come home 回归 from the node's own topics: after a backup was put back.

What a node published after its backup was taken is on its uplink (at the centre: on the downlinks)
and nowhere in its database. Before a relay publishes a topic it reads on from where the database
says that it stood; usually there is nothing, or what was acknowledged and not marked. What the
ledger lacks is written as the own events that they are, and published once more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import psycopg2

from node import kafka, ledger, outbox
from node.errors import is_data_error
from node.kafka import TopicPartition
from node.postgres import Connection, Cursor, own_connected
from node.settings import Settings
from node.taking_in import pack, take_in
from schemas.errors import Undecodable
from schemas.event import Event
from schemas.headers import read_event

log = logging.getLogger(__name__)

_POLL_MS = 2_000
_STOOD = "select partition, next_offset from own_position where topic = %s"
_STANDS = """
    insert into own_position (topic, partition, next_offset) values (%s, %s, %s)
    on conflict (topic, partition) do update set next_offset = excluded.next_offset
"""


class Tail(NamedTuple):
    """The records of a partition that the database does not know of: from `start` to `end`."""

    partition: TopicPartition
    start: int
    end: int


def bring_home(settings: Settings, topics: Sequence[str]) -> int:
    """Write own events that stand on these topics of ours and not in the ledger; how many.

    Raises what the driver or client raises; then what was not committed is read again.
    """
    with (
        own_connected(settings, "homecoming") as connection,
        closing(kafka.plain_consumer(settings, "homecoming")) as client,
    ):
        tails = _tails(connection, client, topics)
        written = sum(_read(connection, client, settings.node, tail) for tail in tails)
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
    first, end = client.beginning_offsets(partitions), client.end_offsets(partitions)
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


def _read(connection: Connection, client: Any, node: str, tail: Tail) -> int:
    written = 0
    for records in _batches(client, tail):
        events = [event for record in records if (event := _own(record, node)) is not None]
        after = (*tail.partition, records[-1].offset + 1)
        try:
            written += _written(connection, node, events, after)
        except psycopg2.Error as error:
            if not is_data_error(error):
                raise
            written += _written(connection, node, _storable(connection, node, events), after)
    return written


def _written(
    connection: Connection, node: str, events: Sequence[Event], after: tuple[object, ...]
) -> int:
    with connection, connection.cursor() as cursor:
        written = _write(cursor, node, events)
        cursor.execute(_STANDS, after)
    return written


def _storable(connection: Connection, node: str, events: Sequence[Event]) -> list[Event]:
    """Those that Postgres can hold: this node wrote no other, but anyone may write to a topic."""
    good = []
    for event in events:
        try:
            with connection, connection.cursor() as cursor:
                _write(cursor, node, [event])
                connection.rollback()
        except psycopg2.Error as error:
            if not is_data_error(error):
                raise
            log.warning("a record on our own topic is none of ours: event %s", event.event_id)
        else:
            good.append(event)
    return good


def _batches(client: Any, tail: Tail) -> Iterator[list[Any]]:
    position = tail.start
    client.assign([tail.partition])
    client.seek(tail.partition, position)
    while position < tail.end:
        for records in client.poll(timeout_ms=_POLL_MS).values():
            position = records[-1].offset + 1
            yield records


def _own(record: Any, node: str) -> Event | None:
    try:
        event = read_event(record.key, record.value, record.headers)
    except Undecodable:
        return None  # nothing that this node wrote
    return event if event.emitter == node else None


def _write(cursor: Cursor, node: str, events: Sequence[Event]) -> int:
    if not events:
        return 0
    entries = [ledger.Entry(event, ledger.body_json(event.body)) for event in events]
    return len(take_in(cursor, node, pack(entries)).new)
