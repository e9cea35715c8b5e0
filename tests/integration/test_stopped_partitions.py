"""One topic that cannot be read stops alone; all others flow on, and it does once it is mended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing

import pytest
from support.backups import lose_records
from support.cli import as_environment, petitionlink
from support.world import (
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
    stopped_with,
)

from cases.topics import uplink
from consumers.consumer import Consumer
from consumers.policy import ConsumerPolicy
from node import kafka, localstack, topics
from node.control import Channel
from node.localstack import LocalStack
from node.metrics import Metrics
from node.settings import Settings
from producers.relay import Relay

BEIJING, SHANDONG = "110000", "370000"
CASE = "20260401-7K3M9QXA"
_STOPPED = "select count(*) from stopped_partition"


@pytest.fixture
def centre(empty_topics: LocalStack, fresh_settings: Callable[..., Settings]) -> Settings:
    """The centre with empty topics and an empty database."""
    return fresh_settings("000000")


def consumer(settings: Settings, metrics: Metrics) -> Consumer:
    """A consumer that soon checks stopped partitions again."""
    return Consumer(settings, metrics, policy=ConsumerPolicy(recheck_seconds=0.3))


def arrive(centre: Settings, province: str, name: str) -> None:
    """A case of this province is registered; its record is on the uplink."""
    send(centre, uplink(province), [raw(event(f"{province}-{CASE}{name}", emitter=province))])


def await_case(centre: Settings, province: str, name: str) -> None:
    query = "select count(*) from petition_case where case_id = %s"
    case_id = f"{province}-{CASE}{name}"
    eventually(lambda: rows(centre, query, (case_id,)) == [(1,)], f"{case_id} is applied")


def begun(centre: Settings) -> None:
    """Both provinces have been read."""
    for province in (BEIJING, SHANDONG):
        arrive(centre, province, "first")
        await_case(centre, province, "first")


def delete(stack: LocalStack, topic: str) -> None:
    cluster = localstack.cluster_settings(stack.bootstrap_servers)
    with closing(kafka.admin(cluster)) as client:
        client.delete_topics([topic])
        eventually(lambda: topic not in client.list_topics(), f"{topic} is gone")


def make(stack: LocalStack, topic: str) -> None:
    cluster = localstack.cluster_settings(stack.bootstrap_servers)
    declared = [one for one in topics.declared_topics(stack.nodes, local=True) if one.name == topic]
    with closing(kafka.admin(cluster)) as client:
        topics.apply(client, declared, [topics.Change(topic, topics.Action.CREATE)])


def test_a_deleted_topic_stops_alone_is_named_and_flows_again_once_it_is_made_and_recovered(
    centre: Settings, stack: LocalStack, caplog: pytest.LogCaptureFixture
) -> None:
    """FAULTS 31. Seen failing: "was deleted and made anew" ended the centre for all provinces."""
    caplog.set_level(logging.WARNING, "consumers")
    metrics = Metrics()
    with running(consumer(centre, metrics), metrics) as ended:
        begun(centre)
        assert sample(metrics, "consumer_stopped_partitions", topic=uplink(BEIJING),
                      reason="missing") == 0  # fmt: skip
        delete(stack, uplink(BEIJING))
        assert "does not exist any more" in stopped_with(centre, "missing")
        arrive(centre, SHANDONG, "second")
        await_case(centre, SHANDONG, "second")
        eventually(lambda: stopped(metrics, BEIJING, "missing") == 6, "the metric says it")
        status = petitionlink("status", "--format", "json", settings=as_environment(centre))
        assert {one["reason"] for one in status.json()["stopped"]} == {"missing"}

        make(stack, uplink(BEIJING))
        stopped_with(centre, "recreated")
        arrive(centre, BEIJING, "third")
        arrive(centre, SHANDONG, "third")
        await_case(centre, SHANDONG, "third")
        petitionlink("recover", settings=as_environment(centre))
        await_case(centre, BEIJING, "third")
        eventually(lambda: rows(centre, _STOPPED) == [(0,)], "nothing is stopped any more")
        eventually(lambda: stopped(metrics, BEIJING, "recreated") == 0, "the metric says it")
        assert ended == []
    told = [one.message for one in caplog.records if one.levelno == logging.ERROR]
    assert uplink(BEIJING) in told[0]
    assert "topics apply" in told[0]
    assert len(told) == len(set(told)) <= 3


def stopped(metrics: Metrics, province: str, reason: str) -> float:
    return sample(metrics, "consumer_stopped_partitions", topic=uplink(province), reason=reason)


def test_a_truncated_topic_stops_alone_and_its_position_stays_until_somebody_recovers(
    centre: Settings, stack: LocalStack
) -> None:
    """FAULTS 14, 31. Seen failing: "records that were not applied are gone" ended the process."""
    metrics = Metrics()
    with running(consumer(centre, metrics), metrics):
        begun(centre)
    held = "select partition, next_offset from consumer_offset where topic = %s order by 1"
    before = rows(centre, held, (uplink(BEIJING),))
    arrive(centre, BEIJING, "lost")
    lose_records(centre, uplink(BEIJING))
    with running(consumer(centre, metrics), metrics) as ended:
        assert "are gone from Kafka: partition 0" in stopped_with(centre, "records_gone")
        arrive(centre, SHANDONG, "second")
        await_case(centre, SHANDONG, "second")
        assert rows(centre, held, (uplink(BEIJING),)) == before
        petitionlink("recover", settings=as_environment(centre))
        arrive(centre, BEIJING, "second")
        await_case(centre, BEIJING, "second")
        assert ended == []


def test_a_topic_of_poison_stops_alone_and_flows_again_when_its_letters_are_dealt_with(
    centre: Settings,
) -> None:
    """FAULTS 21, 31. Seen failing: one province's poison ended the centre for all."""
    small = centre.model_copy(update={"dead_letter_consecutive": 3})
    metrics = Metrics()
    with running(consumer(small, metrics), metrics) as ended:
        begun(centre)
        bad = (b"k", b"\x01poison", [])
        send(centre, uplink(BEIJING), [bad, bad])
        eventually(lambda: count(centre, "dead_letter") == 2, "two letters")
        send(centre, uplink(BEIJING), [bad, bad])
        arrive(centre, BEIJING, "second")
        assert "wrong_magic" in stopped_with(centre, "dead_letters")
        arrive(centre, SHANDONG, "second")
        await_case(centre, SHANDONG, "second")
        assert stopped(metrics, BEIJING, "dead_letters") == 1
        for (letter,) in rows(centre, "select id from dead_letter"):
            petitionlink(
                *("deadletters", "discard", str(letter), "--reason", "a test"),
                settings=as_environment(centre),
            )
        await_case(centre, BEIJING, "second")
        eventually(lambda: rows(centre, _STOPPED) == [(0,)], "nothing is stopped any more")
        assert ended == []


def test_a_node_whose_only_topic_is_gone_starts_and_waits_for_it(
    empty_topics: LocalStack, stack: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    """Seen failing: a province that was started then ended, its relay and its desk with it."""
    shandong = fresh_settings(SHANDONG)
    metrics = Metrics()
    topic = f"petition.downlink.{SHANDONG}"
    with running(consumer(shandong, metrics), metrics):
        eventually(lambda: count(shandong, "consumer_offset") == 6, "positions are noted")
    delete(stack, topic)
    with running(consumer(shandong, metrics), metrics) as ended:
        stopped_with(shandong, "missing")
        make(stack, topic)
        stopped_with(shandong, "recreated")
        petitionlink("recover", settings=as_environment(shandong))
        send(shandong, topic, [raw(event(f"110000-{CASE}"))])
        eventually(lambda: count(shandong, "petition_case") == 1, "it is read again")
        assert ended == []


def test_a_destination_whose_topic_is_deleted_holds_up_no_other(
    centre: Settings, stack: LocalStack
) -> None:
    """FAULTS 31. Seen failing: all others waited for half a minute; a province's node ended."""
    metrics = Metrics()
    gone, fine = f"petition.downlink.{BEIJING}", f"petition.downlink.{SHANDONG}"
    published = "select count(*) from outbox where topic = %s and published_at is not null"
    with running(Relay(centre, metrics), metrics) as ended:
        for to in (BEIJING, SHANDONG):
            do(centre, "assign", case_id=register(centre), to=to)
        for topic in (gone, fine):
            eventually(lambda topic=topic: rows(centre, published, (topic,))[0][0] > 0, topic)
        before = rows(centre, published, (gone,))
        delete(stack, gone)
        for to in (BEIJING, SHANDONG, SHANDONG):
            do(centre, "assign", case_id=register(centre), to=to)
        waiting = "select count(*) from outbox where topic = %s and published_at is null"
        eventually(lambda: rows(centre, waiting, (fine,)) == [(0,)], "the others are published", 20)
        assert rows(centre, published, (gone,)) == before
        eventually(lambda: sample(metrics, "outbox_stopped_topics", topic=gone) == 1, "it is said")
        assert sample(metrics, "outbox_stopped_topics", topic=fine) == 0
        assert ended == []
    make(stack, gone)
    with running(Relay(centre, metrics), metrics):
        eventually(lambda: rows(centre, waiting, (gone,)) == [(0,)], "what waited is published")


def test_a_control_topic_that_is_deleted_leaves_its_peer_out_and_no_other(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings], stack: LocalStack
) -> None:
    """FAULTS 31. Seen failing: each message to it waited 20 s and then began all again."""
    centre = fresh_settings("000000")
    answer = f"petition.control.downlink.{BEIJING}"
    with Channel(centre, "test") as channel:
        assert {BEIJING, SHANDONG} <= {*channel.peers}
        channel.send(BEIJING, "clock", [b"{}"])
        delete(stack, answer)
        channel.send(BEIJING, "clock", [b"{}"])
        assert BEIJING not in channel.peers
        channel.send(SHANDONG, "clock", [b"{}"])
        assert channel.lacks_topics
    with Channel(centre, "test") as channel:
        assert BEIJING not in channel.peers
        assert SHANDONG in channel.peers


def test_a_record_on_our_own_topic_that_postgres_refuses_ends_no_relay(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    """Seen failing: NUL under our own name on our uplink ended the node, at each start."""
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
