"""The only module that builds Kafka clients: kafka-python 3, pinned.

Its defaults that we override, and why (read in its source):
- `api_version` is pinned, or building a client fails while the broker is away;
- `enable_auto_commit=False`, because the offset that counts is in Postgres;
- `auto_offset_reset='none'`, because a position that is gone must stop us, never skip;
- `allow_auto_create_topics=False`, because topics are declared (deploy/topics.toml);
- `isolation_level='read_committed'`, because what a producer has aborted was never said.
Values are bytes: a deserializer that raises would repeat for ever from `poll()`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.protocol.consumer import IsolationLevel

from node import record_format
from node.partitions import KeyPartitioner
from node.producing import Producer
from node.settings import Settings

__all__ = ["TopicPartition", "admin", "consumer", "group_of", "plain_consumer", "producer"]

# The oldest broker we support; newer ones still speak it.
_API_VERSION = (4, 0)
# 1 MiB is the broker's default limit of a request; a batch stays under it.
_BATCH_BYTES = 900_000
_PARTITION_FETCH_BYTES = 2 * 1024 * 1024
# What one answer holds of all partitions together, packed; the client's default is 50 MB, and the
# centre reads a hundred partitions.
_FETCH_BYTES = 4 * 1024 * 1024
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
# A dead letter is as large as the poison was, and its headers come on top.
_MAX_REQUEST_BYTES = 2 * 1024 * 1024
# Reconnect fast: a link that comes back must drain within seconds.
_RECONNECT_BACKOFF_MAX_MS = 2_000
# How long the partitions of a process that is gone for good stand still.
_SESSION_TIMEOUT_MS = 10_000
# Members learn with a heartbeat that another one joins: it waits this long at most.
_HEARTBEAT_MS = 1_000
_MAX_POLL_INTERVAL_MS = 300_000
_LEAST_WAIT_SECONDS = 0.05
_REQUEST_TIMEOUT_MS = 20_000
# A look at the cluster fails fast: somebody waits for the answer.
_LOOK_TIMEOUT_MS = 5_000
# A topic that is made later, or again, is found within this time.
_METADATA_AGE_MS = 30_000
# Given up after this long, the outbox rows stay pending and are sent again.
DELIVERY_TIMEOUT_SECONDS = 30.0
_READ_COMMITTED = "read_committed"
_READ_UNCOMMITTED = "read_uncommitted"

record_format.install()
# The library repeats each failed reconnection at WARNING or ERROR; the node says it once.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _common(settings: Settings, role: str) -> dict[str, Any]:
    # Mutual TLS will be added here, and only here.
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "client_id": f"petitionlink-{settings.node}-{role}",
        "api_version": _API_VERSION,
        "reconnect_backoff_max_ms": _RECONNECT_BACKOFF_MAX_MS,
    }


def group_of(node: str) -> str:
    """The consumer group 消费组 of a node."""
    return f"petitionlink.{node}"


def consumer(
    settings: Settings, *, fetch_wait_ms: int, instance: str | None = None
) -> KafkaConsumer:
    """The group consumer of a node; positions are set by the caller from Postgres.

    With an `instance`, a name that no other living process has, one that was killed gets its
    partitions back at once when it comes again; without, the group first waits for its session
    to run out.
    """
    client = KafkaConsumer(
        **_common(settings, "consumer"),
        group_id=group_of(settings.node),
        group_instance_id=instance,
        enable_auto_commit=False,
        auto_offset_reset="none",
        allow_auto_create_topics=False,
        max_poll_records=settings.batch_records,
        isolation_level=_READ_COMMITTED,
        fetch_max_bytes=_FETCH_BYTES,
        max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
        receive_buffer_bytes=_RECEIVE_BUFFER_BYTES,
        fetch_max_wait_ms=fetch_wait_ms,
        session_timeout_ms=_SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=_HEARTBEAT_MS,
        max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=_METADATA_AGE_MS,
        metrics_enabled=False,
    )
    _wait_calmly(client)
    return client


def _wait_calmly(client: KafkaConsumer) -> None:
    """Keep `poll` from spinning while a heartbeat is overdue, as on a link that swallows all.

    kafka-python 3.0.12 waits no longer than until the next heartbeat, which is then 0 ms, and hangs
    one more callback to the fetch under way in each of thousands of turns: a processor and, within
    the 20 s that a fetch may take, hundreds of megabytes. Heartbeats have a thread of their own.
    """
    coordinator = client._coordinator
    until_next = coordinator.time_to_next_poll
    coordinator.time_to_next_poll = lambda: max(until_next(), _LEAST_WAIT_SECONDS)


def keep_joining(client: KafkaConsumer) -> bool:
    """Call before each poll: makes kafka-python 3.0.12 finish a join that took several polls.

    When changed metadata was what began the join, the client takes it for finished as soon as it
    has assigned the partitions, and if a poll ended in between it never takes up what it was
    given: no partitions, no heartbeat, for good. A join that is under way is still needed.

    Whether one is needed: a poll that ends before it does begins it again, so polls must be longer
    the longer it takes.
    """
    coordinator = client._coordinator
    if coordinator.rejoining and not coordinator.rejoin_needed:
        coordinator.request_rejoin()
    return bool(coordinator.rejoin_needed)


def plain_consumer(settings: Settings, role: str, *, uncommitted: bool = False) -> KafkaConsumer:
    """A consumer outside every group, to look at offsets and single records.

    `uncommitted` only to measure: then open transactions count, and ends are high watermarks.
    """
    return KafkaConsumer(
        **_common(settings, role),
        enable_auto_commit=False,
        auto_offset_reset="none",
        allow_auto_create_topics=False,
        isolation_level=_READ_UNCOMMITTED if uncommitted else _READ_COMMITTED,
        bootstrap_timeout_ms=_LOOK_TIMEOUT_MS,
        request_timeout_ms=_LOOK_TIMEOUT_MS,
        metrics_enabled=False,
    )


def producer(settings: Settings, role: str, *, linger_ms: int = 0) -> KafkaProducer:
    """An idempotent producer: acknowledged by all, in order, without doubles per session."""
    return Producer(
        **_common(settings, role),
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        compression_type="lz4",
        partitioner=KeyPartitioner(),
        batch_size=_BATCH_BYTES,
        max_request_size=_MAX_REQUEST_BYTES,
        metadata_max_age_ms=_METADATA_AGE_MS,
        linger_ms=linger_ms,
        max_block_ms=_REQUEST_TIMEOUT_MS,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        delivery_timeout_ms=int(DELIVERY_TIMEOUT_SECONDS * 1_000),
        metrics_enabled=False,
    )


def next_offsets(client: KafkaConsumer) -> dict[TopicPartition, int]:
    """Where the next fetch of each assigned partition begins, without asking anybody.

    After a poll that is after its last record, and after what gives no records: transaction
    markers, aborted records, gaps. One without a position is left out.
    """
    assigned: Mapping[TopicPartition, Any] = client._subscription.assignment
    return {
        partition: state.position.offset
        for partition, state in [*assigned.items()]
        if state.position is not None
    }


def high_watermarks(
    client: KafkaConsumer, partitions: Iterable[TopicPartition], timeout_ms: int | None = None
) -> dict[TopicPartition, int]:
    """The ends of partitions with what open transactions hold back; between polls only.

    `end_offsets` of a client that reads committed records ends before an open transaction.
    Raises a Kafka error.
    """
    fetcher = client._fetcher
    level = fetcher._isolation_level
    fetcher._isolation_level = IsolationLevel.READ_UNCOMMITTED
    try:
        ends: dict[TopicPartition, int] = client.end_offsets([*partitions], timeout_ms=timeout_ms)
    finally:
        fetcher._isolation_level = level
    return ends


def topic_ids(
    client: KafkaConsumer | KafkaProducer, topics: Iterable[str]
) -> dict[str, uuid.UUID | None]:
    """Kafka's identity of each topic, as of the client's last metadata; None while unknown."""
    cluster = client._metadata if isinstance(client, KafkaProducer) else client._client.cluster
    return {topic: cluster.topic_id(topic) for topic in topics}


def known_topics(client: KafkaConsumer) -> set[str]:
    """The topics in the client's last metadata: all that it subscribed to and the cluster has."""
    return {*client._client.cluster.topics(exclude_internal_topics=False)}


def refresh_metadata(client: KafkaConsumer) -> None:
    """Let the client ask soon which topics there are; it does not wait for the answer."""
    client._client.cluster.request_update()


def is_leaderless(client: KafkaConsumer, partition: TopicPartition) -> bool:
    """True if no broker leads the partition, by the client's last metadata."""
    leader = client._client.cluster.leader_for_partition(partition)
    return leader is None or leader < 0


class _AdminClient(KafkaAdminClient):  # type: ignore[misc]
    """The library's, which leaves its thread and sockets behind if it cannot reach the cluster."""

    def __init__(self, **configs: Any) -> None:
        try:
            super().__init__(**configs)
        except BaseException:
            self._closed = False  # as its own constructor says in its last lines
            self.close()
            raise


def admin(settings: Settings) -> KafkaAdminClient:
    """A client that reads and changes topics; raises a Kafka error while the cluster is away."""
    return _AdminClient(
        **_common(settings, "admin"),
        bootstrap_timeout_ms=_LOOK_TIMEOUT_MS,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )


def existing_topics(settings: Settings) -> set[str]:
    """The topics that the cluster has; raises a Kafka error while it is away."""
    client = admin(settings)
    try:
        return set(client.list_topics())
    finally:
        client.close()
