"""A topic that Kafka has compacted 日志压缩: its gaps are passed by consumer, relay and lag.

docs/faults.md 28, on the real broker with its real cleaner."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from kafka.admin import ConfigResource, ConfigResourceType
from support.offices import BEIJING, SHANDONG, Desks
from support.transactions import foreign_producer
from support.world import (
    WAIT_SECONDS,
    count,
    do,
    end_offset,
    event,
    eventually,
    raw,
    rows,
    running,
    sample,
)

from consumers.consumer import Consumer
from consumers.partition_status import partition_status
from node import localstack
from node.kafka import clients
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import downlink, uplink
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.settings import Settings
from producers.relay.relay import Relay
from schemas.event import Event
from schemas.instants import now_micros

# Compacted as soon as the cleaner comes by, each 15 s; the segment that is written to never is.
_COMPACT = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.0",
    "segment.ms": "100",
    "max.compaction.lag.ms": "1",
}
_PATIENCE_SECONDS = 120.0
_CASE = "110000-20260401-7K3M9QX"


@contextmanager
def compacted(stack: LocalStack, topic: str) -> Iterator[None]:
    """The topic is compacted inside the block, as an administrator might have it by mistake."""
    resource = ConfigResourceType.TOPIC
    with closing(clients.admin(localstack.cluster_settings(stack.bootstrap_servers))) as client:
        client.alter_configs([ConfigResource(resource, topic, _COMPACT)])
        try:
            yield
        finally:
            client.alter_configs([ConfigResource(resource, topic, {"cleanup.policy": "delete"})])


def send_apart(settings: Settings, topic: str, events: Sequence[Event]) -> None:
    """Write records that are a second apart by their timestamps: each begins a segment."""
    first = int(time.time() * 1000) - 1000 * len(events)
    with foreign_producer(settings) as producer:
        for number, one in enumerate(events):
            key, value, headers = raw(one)
            producer.send(
                topic, value, key, headers, partition=0, timestamp_ms=first + 1000 * number
            ).get(timeout=WAIT_SECONDS)


def offsets(settings: Settings, topic: str) -> list[int]:
    """Return the offsets of the records in partition 0."""
    place = TopicPartition(topic, 0)
    end = end_offset(settings, topic)
    with closing(clients.plain_consumer(settings, "test")) as client:
        client.assign([place])
        client.seek(place, client.beginning_offsets([place])[place])
        found: list[int] = []
        while client.position(place) < end:
            found += [one.offset for one in client.poll(timeout_ms=500).get(place, [])]
    return found


def life(emitter: str) -> list[Event]:
    """Six events; compaction leaves the first, the last of the case in the middle, and the last."""
    middle = [event(f"{_CASE}B", version, emitter=emitter) for version in range(1, 5)]
    return [event(f"{_CASE}A", emitter=emitter), *middle, event(f"{_CASE}C", emitter=emitter)]


def compact(settings: Settings, topic: str, events: Sequence[Event]) -> None:
    """Write these events and wait until the cleaner has left three of them, with a gap between."""
    start = end_offset(settings, topic)
    send_apart(settings, topic, events)
    left = [start, start + 4, start + 5]
    eventually(lambda: offsets(settings, topic) == left, "it is compacted", _PATIENCE_SECONDS)


def held(settings: Settings) -> set[str]:
    return {one for (one,) in rows(settings, "select event_id::text from case_event")}


def test_gaps_by_compaction_are_passed_by_the_consumer_and_are_no_lag(
    desks: Desks, stack: LocalStack
) -> None:
    _, _, shandong = desks
    settings, topic = shandong.settings, downlink(SHANDONG)
    events = life(BEIJING)
    with compacted(stack, topic):
        compact(settings, topic, events)
        with running(Consumer(*shandong), shandong.metrics) as ended:
            left = {events[number].event_id for number in (0, 4, 5)}
            eventually(lambda: held(settings) == left, "what is left is applied")
            end = end_offset(settings, topic)
            position = "select next_offset from consumer_offset where topic = %s and partition = 0"
            eventually(lambda: rows(settings, position, (topic,)) == [(end,)], "it is at the end")
            place = {"topic": topic, "partition": "0"}
            for figure in ("consumer_lag_records", "consumer_lag_seconds"):
                lag = partial(sample, shandong.metrics, figure, **place)
                eventually(lambda: lag() == 0, figure)  # noqa: B023
            assert ended == []
        with connected(settings.dsn, "test") as connection:
            for one in partition_status(settings, connection, now_micros()):
                assert (one.lag_records, one.lag_seconds) == (0, 0.0)
    assert count(settings, "dead_letter") == count(settings, "stopped_partition") == 0


def test_the_relays_look_at_its_own_topic_passes_gaps_by_compaction(
    desks: Desks, stack: LocalStack
) -> None:
    _, beijing, _ = desks
    settings, topic = beijing.settings, uplink(BEIJING)
    events = life(BEIJING)
    with compacted(stack, topic):
        compact(settings, topic, events)
        done = do(settings, "register", title="供暖不足", channel="web")
        with running(Relay(*beijing), beijing.metrics) as ended:
            unsent = "select count(*) from outbox where published_at is null"
            eventually(lambda: rows(settings, unsent) == [(0,)], "it is published")
        assert ended == []
        left = {events[number].event_id for number in (0, 4, 5)}
        assert held(settings) == left | {done.event.event_id}
