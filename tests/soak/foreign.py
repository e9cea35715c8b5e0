"""Faults caused by other clients of the cluster and by its administrator.

A transactional producer leaves markers and aborted records on the topics; an administrator sets
another compression codec, or deletes a topic.
"""

import random
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from soak import records
from soak.world import World
from support.cli import petitionlink
from support.topics import delete_topic, make_topic
from support.world import Raw

from node.kafka import clients
from node.kafka.topic_names import (
    consumed_topics,
    control_downlink,
    control_uplink,
    downlink,
    produced_topics,
    uplink,
)

_CODECS = ("gzip", "snappy", "lz4", "zstd", "uncompressed", "producer")
_ABORTED = 20
_WAIT_SECONDS = 30.0
_RECOVER_SECONDS = 120.0


def transaction(world: World, chance: random.Random) -> None:
    """Write one committed and one aborted transaction to each partition of a topic.

    The committed one repeats records that the reader has applied. The aborted one also holds
    poison: if a node applied or dead-lettered any of it, the oracle's figures would differ.
    """
    node = chance.choice(world.nodes)
    topic = chance.choice(_topics(world, node))
    again = records.applied_records(world, node, topic)
    committed = chance.sample(again, min(_ABORTED, len(again)))
    poison = records.kinds_of_poison(topic)
    try:
        with closing(_producer(world, node)) as producer:
            producer.init_transactions()
            for partition in sorted(producer.partitions_for(topic)):
                _write(producer, topic, partition, committed, commit=True)
                _write(producer, topic, partition, [*committed, *poison], commit=False)
                _write(producer, topic, partition, committed[:1], commit=True)
    except kafka_errors.KafkaError as error:
        world.find(f"the soak could not write a transaction: {type(error).__name__}: {error}")


def set_codec(world: World, chance: random.Random) -> None:
    """Let the broker compress a topic again with another codec."""
    node = chance.choice(world.nodes)
    topic = chance.choice([one for one in produced_topics(node) if _is_of_the_soak(world, one)])
    resource = ConfigResource(
        ConfigResourceType.TOPIC, topic, {"compression.type": chance.choice(_CODECS)}
    )
    try:
        with closing(clients.admin(world.direct[node])) as admin:
            admin.alter_configs([resource])
    except kafka_errors.KafkaError as error:
        world.find(f"the soak could not set a codec: {type(error).__name__}: {error}")


def lose_topic(world: World, chance: random.Random) -> None:
    """Delete a topic between the centre and a province, make it again, and recover its reader."""
    province = chance.choice(world.nodes[1:])
    reader, topic = chance.choice([
        *((world.centre, one(province)) for one in (uplink, control_uplink)),
        *((province, one(province)) for one in (downlink, control_downlink)),
    ])  # fmt: skip
    delete_topic(world.stack, topic)
    time.sleep(chance.uniform(1, 15))
    make_topic(world.stack, topic)
    if topic in (uplink(province), downlink(province)):
        done = petitionlink("recover", "--node", reader, seconds=_RECOVER_SECONDS)
        if done.code != 0:
            world.find(f"recover of {reader} after {topic} was lost: {done.err[-300:]}")


def _topics(world: World, node: str) -> list[str]:
    """Topics of events that `node` and other nodes of the soak write for each other."""
    topics = [*consumed_topics(node), *produced_topics(node)]
    return [topic for topic in topics if _is_of_the_soak(world, topic)]


def _is_of_the_soak(world: World, topic: str) -> bool:
    # The centre's topics for provinces that have no part in the soak do not exist.
    return topic.rpartition(".")[2] in world.nodes


def _producer(world: World, node: str) -> Any:
    return KafkaProducer(
        bootstrap_servers=world.direct[node].kafka_bootstrap_servers.split(","),
        transactional_id=f"soak-{uuid.uuid4()}",
        acks="all",
        compression_type="gzip",
    )


def _write(
    producer: Any, topic: str, partition: int, several: Sequence[Raw], *, commit: bool
) -> None:
    producer.begin_transaction()
    sent = [
        producer.send(topic, value, key, headers, partition=partition)
        for key, value, headers in several
    ]
    producer.flush(_WAIT_SECONDS)
    for future in sent:
        future.get(timeout=_WAIT_SECONDS)
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()
