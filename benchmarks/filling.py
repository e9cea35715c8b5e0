"""Putting invented events on a topic, and writing them to a ledger: what precedes the clock."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice

from node.kafka import clients
from node.postgres.connection import connected
from node.runtime.settings import Settings
from node.store import events as store_events
from node.store.write_events import pack
from schemas.event import Event
from schemas.wire import wire_headers

_CHUNK = 5_000


def publish(settings: Settings, topic: str, events: Iterable[Event]) -> tuple[int, float]:
    """Send events as the relay sends them; their number and mean value size in bytes."""
    sent = size = 0
    with closing(clients.producer(settings, "bench", linger_ms=20)) as producer:
        for event in events:
            producer.send(topic, event.value, event.key, wire_headers(event))
            sent += 1
            size += len(event.value)
        producer.flush()
    return sent, size / sent


def write_ledger(dsn: str, events: Iterable[Event]) -> int:
    """Write events to the ledger alone, without cases; their number."""
    written = 0
    with connected(dsn, "bench") as connection:
        for chunk in chunks(events):
            with connection, connection.cursor() as cursor:
                entries = [
                    store_events.Entry(event, store_events.body_json(event.body)) for event in chunk
                ]
                written += len(store_events.write(cursor, pack(entries)))
    return written


def chunks(events: Iterable[Event]) -> Iterator[Sequence[Event]]:
    """Lists of a few thousand."""
    source = iter(events)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk
