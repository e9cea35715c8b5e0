"""A topic that a node sends to and that is gone or unreadable stops no other. docs/faults.md 23."""

from collections.abc import Callable
from functools import partial

import pytest
from support.offices import BEIJING, SHANDONG
from support.topics import delete_topic, make_topic
from support.world import (
    WAIT_SECONDS,
    count,
    do,
    event,
    eventually,
    raw,
    register,
    rows,
    running,
    sample,
    send,
)

from node.kafka import clients
from node.kafka.topic_names import uplink
from node.localstack import LocalStack
from node.reconcile.control_channel import Channel
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.relay.relay import Relay, RelayPolicy

CASE = "20260401-7K3M9QXA"


def test_a_destination_whose_topic_is_deleted_holds_up_no_other(
    centre_with_topics: Settings, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/faults.md 31. Formerly: all others waited as long as a producer waits for a topic; a
    province's node ended."""
    monkeypatch.setattr(clients, "DELIVERY_TIMEOUT_SECONDS", 10 * WAIT_SECONDS)
    metrics = Metrics()
    gone, fine = f"petition.downlink.{BEIJING}", f"petition.downlink.{SHANDONG}"
    published = "select count(*) from outbox where topic = %s and published_at is not null"

    def is_published(topic: str) -> bool:
        return bool(rows(centre_with_topics, published, (topic,))[0][0])

    policy = RelayPolicy(flush_seconds=10 * WAIT_SECONDS)
    with running(Relay(centre_with_topics, metrics, policy=policy), metrics) as ended:
        for to in (BEIJING, SHANDONG):
            do(centre_with_topics, "assign", case_id=register(centre_with_topics), to=to)
        for topic in (gone, fine):
            eventually(partial(is_published, topic), topic)
        before = rows(centre_with_topics, published, (gone,))
        delete_topic(stack, gone)
        for to in (BEIJING, SHANDONG, SHANDONG):
            do(centre_with_topics, "assign", case_id=register(centre_with_topics), to=to)
        waiting = "select count(*) from outbox where topic = %s and published_at is null"
        eventually(
            lambda: rows(centre_with_topics, waiting, (fine,)) == [(0,)], "the others are published"
        )
        assert rows(centre_with_topics, published, (gone,)) == before
        eventually(lambda: sample(metrics, "outbox_stopped_topics", topic=gone) == 1, "it is said")
        assert sample(metrics, "outbox_stopped_topics", topic=fine) == 0
        assert ended == []
    make_topic(stack, gone)
    with running(Relay(centre_with_topics, metrics), metrics):
        eventually(
            lambda: rows(centre_with_topics, waiting, (gone,)) == [(0,)], "what waited is published"
        )


def test_a_control_topic_that_is_deleted_leaves_its_peer_out_and_no_other(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings], stack: LocalStack
) -> None:
    """docs/faults.md 31. Formerly: each message to it waited 20 s and then began all again."""
    centre_with_topics = fresh_settings("000000")
    answer = f"petition.control.downlink.{BEIJING}"
    with Channel(centre_with_topics, "test") as channel:
        assert {BEIJING, SHANDONG} <= {*channel.peers}
        channel.send(BEIJING, "clock", [b"{}"])
        delete_topic(stack, answer)
        channel.send(BEIJING, "clock", [b"{}"])
        assert BEIJING not in channel.peers
        channel.send(SHANDONG, "clock", [b"{}"])
        assert channel.lacks_topics
    with Channel(centre_with_topics, "test") as channel:
        assert BEIJING not in channel.peers
        assert SHANDONG in channel.peers


def test_a_record_on_our_own_topic_that_postgres_refuses_ends_no_relay(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    """Formerly: NUL under our own name on our uplink ended the node, at each start."""
    shandong = fresh_settings(SHANDONG)
    good = event(f"{SHANDONG}-{CASE}good", emitter=SHANDONG)
    body = {"title": "a?b", "channel": "web", "received_at": 0}
    bad = event(f"{SHANDONG}-{CASE}bad", emitter=SHANDONG, body=body)
    bad = bad._replace(value=bad.value.replace(b"a?b", b"a\0b"))
    send(shandong, uplink(SHANDONG), [raw(bad), raw(good)])
    metrics = Metrics()
    with running(Relay(shandong, metrics), metrics) as ended:
        eventually(lambda: count(shandong, "case_event") == 1, "the other one came home")
        register(shandong)
        waiting = "select count(*) from outbox where published_at is null"
        eventually(lambda: rows(shandong, waiting) == [(0,)], "the relay publishes")
        assert ended == []
