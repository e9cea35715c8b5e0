"""Batches in every compression of Kafka, and batches that cannot be read. docs/faults.md 29."""

import logging
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from support.backups import Backup
from support.damage import codecs_in, damaged, of_unknown_codec
from support.offices import BEIJING, CENTRE, SHANDONG, Desk, Desks, at_work, round_with
from support.transactions import foreign_producer, send_in
from support.world import (
    WAIT_SECONDS,
    count,
    do,
    end_offset,
    event,
    eventually,
    raw,
    register,
    rows,
    running,
    sample,
    send,
)

from consumers.consumer import Consumer
from consumers.policy import ConsumerPolicy
from consumers.stopped_partitions import UNREADABLE
from node.kafka import clients
from node.kafka.record_reader import UnreadableBatch
from node.kafka.topic_names import control_between, downlink, uplink
from node.localstack import LocalStack
from node.recovery.own_events import bring_home
from node.runtime.settings import Settings
from producers.relay.relay import Relay

TOPIC = downlink(SHANDONG)
CODECS = ("zstd", "snappy", "gzip", "lz4")
CASES = ("110000-20260401-7K3M9QXA", "110000-20260401-7K3M9QXB", "110000-20260401-7K3M9QXC")
UNSENT = "select count(*) from outbox where published_at is null"
POSITION = "select next_offset from consumer_offset where topic = %s and partition = 0"


def set_compression(settings: Settings, topics: list[str], codec: str) -> None:
    """Set the codec of topics as an administrator does: the broker packs again what producers
    send."""
    with closing(clients.admin(settings)) as client:
        client.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, one, {"compression.type": codec})
                for one in topics
            ]
        )


def test_a_topic_set_to_any_codec_is_read_by_consumers_recovery_and_the_proof(
    desks: Desks, stack: LocalStack
) -> None:
    """Seen failing with a codec taken out of node/kafka/decompression.py: its batches are
    unreadable."""
    centre, beijing, shandong = desks
    ways = [uplink(BEIJING), control_between(CENTRE, SHANDONG), control_between(SHANDONG, CENTRE)]
    backup = Backup(stack, beijing.settings)
    try:
        with at_work(*desks):
            for codec in CODECS:
                set_compression(centre.settings, ways, codec)
                await_written(stack, beijing.settings, codec)
                eventually(partial(agrees, shandong), f"over {codec}")
            made = count(beijing.settings, "case_event")
            eventually(lambda: count(centre.settings, "case_event") == made, "all are applied")
    finally:
        set_compression(centre.settings, ways, "producer")
    assert count(centre.settings, "dead_letter") == 0
    backup.put_back()
    assert bring_home(beijing.settings, [uplink(BEIJING)]) == made


def agrees(desk: Desk) -> bool:
    """Tell if a round with the centre finds nothing that differs."""
    return round_with(desk, CENTRE).equal


def await_written(stack: LocalStack, settings: Settings, codec: str) -> None:
    """Wait until the broker has packed an event of Beijing with the codec."""

    def is_written() -> bool:
        register(settings, text="这一批由代理重新压缩。" * 100)
        eventually(lambda: rows(settings, UNSENT) == [(0,)], "it is published")
        return codec in codecs_in(stack, uplink(BEIJING))

    eventually(is_written, f"a batch packed with {codec}")


@pytest.mark.parametrize("codec", ["zstd", "gzip", "lz4"])
def test_a_batch_that_a_foreign_producer_has_compressed_is_applied(
    desks: Desks, codec: str
) -> None:
    _, _, shandong = desks
    events = [raw(event(case_id)) for case_id in CASES]
    with foreign_producer(shandong.settings, compression_type=codec, linger_ms=200) as producer:
        send_in(producer, TOPIC, events)
    with running(Consumer(*shandong), shandong.metrics) as ended:
        eventually(lambda: count(shandong.settings, "case_event") == 3, codec)
    assert ended == []
    assert count(shandong.settings, "dead_letter") == 0


@pytest.mark.parametrize("codec", ["snappy", "zstd"])
def test_a_batch_of_another_client_library_is_read(desks: Desks, codec: str) -> None:
    """kcat writes snappy without blocks; what it says here is no event, and one letter a line."""
    _, _, shandong = desks
    kcat = shutil.which("kcat")
    assert kcat is not None, "kcat is missing: run `sudo apt-get install -y kcat`, or `make test`"
    lines = "".join(f"line {n} {'x' * 500}\n" for n in range(5))
    command = [kcat, "-P", "-b", shandong.settings.kafka_bootstrap_servers, "-t", TOPIC, "-p", "0"]
    subprocess.run(
        [*command, "-z", codec], input=lines, text=True, check=True, timeout=WAIT_SECONDS
    )
    with running(Consumer(*shandong), shandong.metrics) as ended:
        eventually(lambda: count(shandong.settings, "dead_letter") == 5, "each record by itself")
    assert ended == []
    kept = rows(
        shandong.settings, "select convert_from(value, 'UTF8') from dead_letter order by id"
    )
    assert "".join(f"{value}\n" for (value,) in kept) == lines


Harm = Callable[[LocalStack, str, int, int], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (damaged, "a batch with codec lz4 is damaged: its checksum is wrong"),
        (of_unknown_codec, "a batch with codec number 5 cannot be unpacked"),
    ],
)
def test_a_batch_that_cannot_be_read_stops_its_partition_only_and_is_applied_once_it_can(
    desks: Desks,
    stack: LocalStack,
    caplog: pytest.LogCaptureFixture,
    harm: Harm,
    said: str,
) -> None:
    """Formerly: one dead letter for the whole batch, and the position after it."""
    _, _, shandong = desks
    settings = shandong.settings
    first, second, third = (event(case_id) for case_id in CASES)
    send(settings, TOPIC, [raw(first)])
    place = end_offset(settings, TOPIC)
    send(settings, TOPIC, [raw(second)])
    reason = {"topic": TOPIC, "reason": UNREADABLE}

    def stopped() -> float:
        return sample(shandong.metrics, "consumer_stopped_partitions", **reason)

    consumer = Consumer(*shandong, policy=ConsumerPolicy(recheck_seconds=0.2))
    with running(consumer, shandong.metrics) as ended:
        with harm(stack, TOPIC, 0, place), caplog.at_level(logging.ERROR):
            eventually(lambda: stopped() == 1, "it stops")
            send(settings, TOPIC, [raw(third)], partition=1)
            eventually(lambda: count(settings, "case_event") == 2, "the other partition flows")
            eventually(lambda: rows(settings, POSITION, (TOPIC,)) == [(place,)], "it stays")
            lag = {"topic": TOPIC, "partition": "0"}
            eventually(
                lambda: sample(shandong.metrics, "consumer_lag_records", **lag) == 1, "lag shows"
            )
        eventually(lambda: count(settings, "case_event") == 3, "the batch can be read again")
        eventually(lambda: stopped() == 0, "nothing stands still")
    assert ended == []
    assert count(settings, "dead_letter") == 0
    told = [one.message for one in caplog.records if said in one.message]
    assert len(told) == 1
    assert f"{TOPIC} partition 0 offset {place}: " in told[0]


def test_a_relay_does_not_publish_over_own_records_that_it_cannot_read(
    desks: Desks, stack: LocalStack
) -> None:
    _, beijing, _ = desks
    settings, topic = beijing.settings, uplink(BEIJING)
    do(settings, "register", title="供暖不足", channel="web")
    with running(Relay(*beijing), beijing.metrics):
        eventually(lambda: rows(settings, UNSENT) == [(0,)], "it is published")
    ((partition, offset),) = rows(settings, 'select partition, "offset" from outbox')
    rows(settings, "delete from outbox")
    with (
        damaged(stack, topic, partition, offset),
        pytest.raises(UnreadableBatch, match=f"{topic} partition {partition} offset {offset}"),
    ):
        bring_home(settings, [topic])
    assert bring_home(settings, [topic]) == 0
