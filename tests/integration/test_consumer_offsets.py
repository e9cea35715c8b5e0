"""The consumer takes its offsets from Postgres alone. docs/contract.md §3."""

from contextlib import closing
from typing import Any

import pytest
from kafka.errors import OffsetOutOfRangeError
from support.consuming import CASE, SHANDONG, TOPIC, applied, position, start
from support.world import (
    count,
    ended_with,
    event,
    eventually,
    raw,
    rows,
    sample,
    send,
    stopped_with,
)

from consumers import offsets
from consumers.apply_batch import apply_batch
from consumers.batch import Batch, DecodedRecord, OffsetRange
from node.kafka import clients
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import dead_letter
from node.postgres.connection import connected
from node.runtime.errors import Fenced
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store import events

MOVE = "update consumer_offset set next_offset = %s where partition = 0"


def test_a_zombie_rolls_back(province_with_topics: Settings) -> None:
    advance = [OffsetRange(TOPIC, 0, 0, 1)]
    one = event(CASE)
    with connected(province_with_topics.dsn, "test") as connection:
        with connection, connection.cursor() as cursor:
            offsets.begin(cursor, {(TOPIC, 0): 0})
        apply_batch(connection, SHANDONG, Batch([], [], advance))
        record: Any = type("Record", (), {"topic": TOPIC, "partition": 0, "offset": 0})
        packed = events.pack(events.Entry(one, b"{}"))
        late = Batch([DecodedRecord(record, one, packed)], [], advance)
        with pytest.raises(Fenced):
            apply_batch(connection, SHANDONG, late)
    assert count(province_with_topics, "case_event") == 0
    assert position(province_with_topics) == 1


def test_a_consumer_whose_offsets_were_moved_goes_on_from_where_they_are(
    province_with_topics: Settings, base: int
) -> None:
    metrics = Metrics()
    with start(province_with_topics, metrics):
        send(province_with_topics, TOPIC, [raw(event(f"{CASE}0"))])
        applied(province_with_topics, 1)
        with connected(province_with_topics.dsn, "test") as other, other, other.cursor() as cursor:
            cursor.execute(MOVE, (base + 2,))  # holds the row until the records are there
            send(province_with_topics, TOPIC, [raw(event(f"{CASE}{n}")) for n in (1, 2)])
        applied(province_with_topics, 2)
    assert sample(metrics, "consumer_fenced_transactions_total") == 1
    assert rows(province_with_topics, "select case_id from petition_case order by 1") == [
        (f"{CASE}0",),
        (f"{CASE}2",),
    ]


def test_terminated_backends_cost_a_pause_and_no_event(province_with_topics: Settings) -> None:
    metrics = Metrics()
    with start(province_with_topics, metrics) as ended:
        for number in range(6):
            send(province_with_topics, TOPIC, [raw(event(f"{CASE}{number}"))])
            rows(
                province_with_topics,
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'petitionlink-consumer' "
                "and datname = current_database()",
            )
        applied(province_with_topics, 6)
        assert ended == []
    assert count(province_with_topics, "dead_letter") == 0
    assert sample(metrics, "dependency_up", dependency="postgres") == 1


def test_positions_come_from_postgres_whatever_kafka_has_committed(
    province_with_topics: Settings, base: int
) -> None:
    send(province_with_topics, TOPIC, [raw(event(f"{CASE}{n}")) for n in range(4)])
    with start(province_with_topics, Metrics()):
        applied(province_with_topics, 4)
    rows(province_with_topics, MOVE, (base + 1,))
    rows(province_with_topics, "delete from case_event where case_id <> %s", (f"{CASE}0",))
    rows(province_with_topics, "delete from petition_case where case_id <> %s", (f"{CASE}0",))
    with start(province_with_topics, Metrics()):
        applied(province_with_topics, 4)


def test_without_its_dead_letter_topic_the_loop_stops_and_the_offset_stays(
    province_with_topics: Settings, base: int
) -> None:
    client = clients.admin(province_with_topics)
    client.delete_topics([dead_letter(SHANDONG)])
    client.close()
    send(province_with_topics, TOPIC, [(b"k", b"\x01poison", [])])
    with start(province_with_topics, Metrics()) as ended:
        assert dead_letter(SHANDONG) in ended_with(ended)
    assert position(province_with_topics) == base
    assert count(province_with_topics, "dead_letter") == 0


def test_a_missing_topic_is_an_error_at_the_start(province_with_topics: Settings) -> None:
    client = clients.admin(province_with_topics)
    client.delete_topics([TOPIC])
    client.close()
    with start(province_with_topics, Metrics()) as ended:
        assert f"{TOPIC} is missing: run `petitionlink topics apply`" in ended_with(ended)


def test_a_truncated_topic_stops_its_partition_and_names_the_offsets(
    province_with_topics: Settings, base: int
) -> None:
    send(province_with_topics, TOPIC, [raw(event(f"{CASE}{n}")) for n in range(3)])
    with start(province_with_topics, Metrics()):
        applied(province_with_topics, 3)
    send(province_with_topics, TOPIC, [raw(event(f"{CASE}{n}")) for n in range(3, 8)])
    client = clients.admin(province_with_topics)
    client.delete_records({TopicPartition(TOPIC, 0): base + 6})
    client.close()
    with start(province_with_topics, Metrics()) as ended:
        line = stopped_with(province_with_topics, "records_gone")
        assert f"partition 0 offsets {base + 3} to {base + 5}" in line
        assert ended == []
    assert position(province_with_topics) == base + 3


def test_a_client_whose_position_is_deleted_while_it_reads_is_told_and_never_moved(
    shandong: Settings, base: int
) -> None:
    """Settling finds out what is gone before reading begins; this is what Kafka deletes later."""
    send(shandong, TOPIC, [raw(event(f"{CASE}{n}")) for n in range(3)])
    with closing(clients.admin(shandong)) as admin:
        admin.delete_records({TopicPartition(TOPIC, 0): base + 3})
    with closing(clients.consumer(shandong, fetch_wait_ms=100)) as client:
        client.assign([TopicPartition(TOPIC, 0)])
        client.seek(TopicPartition(TOPIC, 0), base)
        with pytest.raises(OffsetOutOfRangeError):
            eventually(lambda: client.poll(timeout_ms=200), "records, or an error")
