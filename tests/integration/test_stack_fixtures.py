"""The fixtures that other tests use give what they promise."""

from collections.abc import Callable

import psycopg2
import pytest
from kafka import KafkaProducer, TopicPartition
from support.world import WAIT_SECONDS

from node import localstack
from node.kafka import clients
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.runtime.settings import Settings

TOPIC = "petition.uplink.370000"


def test_the_stack_is_found_by_load(stack: LocalStack) -> None:
    assert localstack.load() == stack


def test_fresh_databases_are_migrated_and_apart(fresh_dsn: Callable[..., str]) -> None:
    with psycopg2.connect(fresh_dsn("370000")) as first, first.cursor() as cursor:
        cursor.execute(
            "insert into consumer_offset (topic, partition, next_offset) values ('t', 0, 1)"
        )
    second = psycopg2.connect(fresh_dsn("370000"))
    with second, second.cursor() as cursor:
        cursor.execute("select count(*) from consumer_offset")
        assert cursor.fetchone() == (0,)
        cursor.execute("select node from node_identity")
        assert cursor.fetchone() == ("370000",)
    first.close()
    second.close()


def test_fresh_settings_name_the_fresh_database(
    fresh_settings: Callable[..., Settings], stack: LocalStack
) -> None:
    settings = fresh_settings("110000")
    assert settings.node == "110000"
    assert settings.dsn != stack.dsn("110000")
    assert settings.kafka_bootstrap_servers == stack.bootstrap_servers


def test_empty_topics_hold_nothing_of_other_tests(
    stack: LocalStack, request: pytest.FixtureRequest
) -> None:
    producer = KafkaProducer(bootstrap_servers=stack.bootstrap_servers)
    producer.send(TOPIC, b"left by another test", partition=0).get(timeout=WAIT_SECONDS)
    producer.close()
    first, end = _bounds()
    assert first < end
    request.getfixturevalue("empty_topics")
    assert _bounds() == (end, end)


def _bounds() -> tuple[int, int]:
    """Return the first offset and the next one of a partition."""
    client = clients.plain_consumer(stack_settings("370000"), "tests")
    partition = TopicPartition(TOPIC, 0)
    try:
        return (
            client.beginning_offsets([partition])[partition],
            client.end_offsets([partition])[partition],
        )
    finally:
        client.close()
