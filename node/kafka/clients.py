"""Only this module builds Kafka clients: kafka-python 3, pinned.

It overrides these defaults (read in the library's source):
- `api_version` is pinned, or building a client fails while the broker is away;
- `enable_auto_commit=False`, because the offset that counts is in Postgres;
- `auto_offset_reset='none'`, because a position that is gone must stop us and never skip records;
- `allow_auto_create_topics=False`, because topics are declared (deploy/topics.toml);
- `isolation_level='read_committed'`, because aborted records must not be applied.
Values are bytes: `poll()` would call a deserializer that raises again and again, for ever.
`node.kafka.library_patches` has all that depends on the inside of the library.
"""

import logging
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import TopicPartition as TopicPartition  # exported

from node.kafka.library_patches import (
    ForceClosingProducer,
    SelfClosingAdminClient,
    install_compile_lock,
    install_record_reader,
    wait_while_heartbeat_is_overdue,
)
from node.kafka.partitioner import KeyPartitioner
from node.runtime.settings import Settings

# The oldest broker we support; newer ones still speak it.
_API_VERSION = (4, 0)
# The broker's default limit of a request is 1 MiB; a batch stays under it.
_BATCH_BYTES = 900_000
_PARTITION_FETCH_BYTES = 2 * 1024 * 1024
# The compressed size of one answer for all partitions; the default is 50 MB, and the centre reads
# a hundred partitions.
_FETCH_BYTES = 4 * 1024 * 1024
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
# A dead letter is as large as the poison was, plus its headers.
_MAX_REQUEST_BYTES = 2 * 1024 * 1024
# Reconnect fast: a link that comes back must drain within seconds.
_RECONNECT_BACKOFF_MAX_MS = 2_000
# After this time the partitions of a process that is gone are assigned to others.
_SESSION_TIMEOUT_MS = 10_000
# Members learn by a heartbeat that another one joins, which waits this long at most.
_HEARTBEAT_MS = 1_000
_MAX_POLL_INTERVAL_MS = 300_000
_REQUEST_TIMEOUT_MS = 20_000
# Requests that somebody waits for fail fast.
_LOOK_TIMEOUT_MS = 5_000
# A topic that is created later, or again, is noticed within this time.
_METADATA_AGE_MS = 30_000
# Outbox rows that are not acknowledged by then stay pending and are sent again.
DELIVERY_TIMEOUT_SECONDS = 30.0
install_compile_lock()
install_record_reader()
# The library logs each failed reconnection at WARNING or ERROR; the node logs it once.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _common(settings: Settings, role: str) -> dict[str, Any]:
    # Mutual TLS will be added here, and only here.
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "client_id": f"petitionlink-{settings.node}-{role}",
        "api_version": _API_VERSION,
        "reconnect_backoff_max_ms": _RECONNECT_BACKOFF_MAX_MS,
    }


def _reading(settings: Settings, role: str) -> dict[str, Any]:
    return {
        **_common(settings, role),
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
    }


def group_of(node: str) -> str:
    """Return the consumer group 消费组 of a node."""
    return f"petitionlink.{node}"


def consumer(
    settings: Settings, *, fetch_wait_ms: int, instance: str | None = None
) -> KafkaConsumer:
    """Return the group consumer of a node; the caller sets its positions from Postgres.

    `instance` is a name that no other living process has: a killed process that starts again under
    it gets its partitions back at once. Without it the group waits until the session has expired.
    """
    client = KafkaConsumer(
        **_reading(settings, "consumer"),
        group_id=group_of(settings.node),
        group_instance_id=instance,
        max_poll_records=settings.batch_records,
        isolation_level="read_committed",
        fetch_max_bytes=_FETCH_BYTES,
        max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
        receive_buffer_bytes=_RECEIVE_BUFFER_BYTES,
        fetch_max_wait_ms=fetch_wait_ms,
        session_timeout_ms=_SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=_HEARTBEAT_MS,
        max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=_METADATA_AGE_MS,
    )
    wait_while_heartbeat_is_overdue(client)
    return client


def plain_consumer(settings: Settings, role: str, *, uncommitted: bool = False) -> KafkaConsumer:
    """Return a consumer outside every group, to read offsets and single records.

    `uncommitted` is only for measuring: open transactions count, and ends are high watermarks.
    """
    return KafkaConsumer(
        **_reading(settings, role),
        isolation_level="read_uncommitted" if uncommitted else "read_committed",
        bootstrap_timeout_ms=_LOOK_TIMEOUT_MS,
        request_timeout_ms=_LOOK_TIMEOUT_MS,
    )


def producer(settings: Settings, role: str, *, linger_ms: int = 0) -> KafkaProducer:
    """Return an idempotent producer: acknowledged by all replicas, in order, without doubles."""
    return ForceClosingProducer(
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


def admin(settings: Settings) -> KafkaAdminClient:
    """Return a client that reads and changes topics; raises a Kafka error if no broker answers."""
    return SelfClosingAdminClient(
        **_common(settings, "admin"),
        bootstrap_timeout_ms=_LOOK_TIMEOUT_MS,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )


def existing_topics(settings: Settings) -> set[str]:
    """Return the topics that the cluster has; raises a Kafka error if no broker answers."""
    with closing(admin(settings)) as client:
        return set(client.list_topics())


def partitions_of(client: KafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """Return the partitions of those of `topics` that exist, in the order of their numbers."""
    return [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(client.partitions_for_topic(topic) or ())
    ]
