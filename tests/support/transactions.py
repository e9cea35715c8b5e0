"""A producer that writes in transactions, as exactly-once mirrors do, and foreign compression."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import uuid_utils
from kafka import KafkaProducer
from support.world import WAIT_SECONDS, Raw, eventually

from node.kafka import clients, library_patches
from node.kafka.clients import TopicPartition
from node.runtime.settings import Settings

_API_VERSION = (4, 0)


@contextmanager
def foreign_producer(settings: Settings, **config: Any) -> Iterator[KafkaProducer]:
    """Give a producer that is none of ours."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, api_version=_API_VERSION, **config
    )
    try:
        yield producer
    finally:
        producer.close(timeout=1)


@contextmanager
def transactional(settings: Settings) -> Iterator[KafkaProducer]:
    """Give a producer that is ready to begin transactions."""
    config = {"transactional_id": f"test-{uuid_utils.uuid7()}", "enable_idempotence": True}
    with foreign_producer(settings, acks="all", **config) as producer:
        producer.init_transactions()
        yield producer


def send_in(
    producer: KafkaProducer, topic: str, records: Sequence[Raw], partition: int = 0
) -> None:
    """Write records in the transaction that is open, and wait until they are in the log."""
    sent = [
        producer.send(topic, value, key, headers, partition=partition)
        for key, value, headers in records
    ]
    producer.flush()
    for one in sent:
        one.get(timeout=WAIT_SECONDS)


def commit(
    settings: Settings, topic: str, records: Sequence[Raw], partitions: Sequence[int] = (0,)
) -> None:
    """Commit a transaction: the records, and a marker at the end of each partition."""
    with _transaction(settings, topic, records, partitions) as producer:
        producer.commit_transaction()


def abort(
    settings: Settings, topic: str, records: Sequence[Raw], partitions: Sequence[int] = (0,)
) -> None:
    """Abort a transaction: records that nobody may apply, and a marker after them."""
    with _transaction(settings, topic, records, partitions) as producer:
        producer.abort_transaction()


@contextmanager
def _transaction(
    settings: Settings, topic: str, records: Sequence[Raw], partitions: Sequence[int]
) -> Iterator[KafkaProducer]:
    """Write the records to each partition in a transaction; the block must end it."""
    with transactional(settings) as producer:
        producer.begin_transaction()
        for partition in partitions:
            send_in(producer, topic, records, partition)
        yield producer
    await_marker(settings, topic)


def await_marker(settings: Settings, topic: str) -> None:
    """Wait until no transaction is open in the topic: markers are written after the answer."""
    with closing(clients.plain_consumer(settings, "test")) as client:
        places = [TopicPartition(topic, number) for number in client.partitions_for_topic(topic)]
        eventually(
            lambda: library_patches.high_watermarks(client, places) == client.end_offsets(places),
            f"the markers stand in {topic}",
        )
