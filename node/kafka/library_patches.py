"""This module holds everything that depends on the inside of kafka-python.

It was written for kafka-python 3.0.12, which is pinned. Before you install another version, run
`tests/unit/test_kafka_library_patches.py`: it fails if a private name that is used here is gone, or
if the library no longer does what a patch corrects. Only this module and
`node.kafka.record_reader`, which parses the library's batches, use such names (the same test).

| patch | replaces | why |
|---|---|---|
| `install_record_reader` | `Fetcher.PartitionRecords._unpack_records` | cost, bombs |
| `install_compile_lock` | `StructField.compiled_decode_from` | a race breaks all clients |
| `ForceClosingProducer` | `KafkaProducer.close` | a closed producer goes on sending |
| `SelfClosingAdminClient` | `KafkaAdminClient.__init__` | a thread and sockets stay open |
| `wait_while_heartbeat_is_overdue` | `time_to_next_poll` of the coordinator | `poll` spins |
| `keep_joining` | nothing; calls `request_rejoin` | a join counts as finished too early |
| `high_watermarks` | `Fetcher._isolation_level`, for one call | there is no other way to ask |
"""

import functools
import threading
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import KafkaError
from kafka.protocol.consumer import IsolationLevel
from kafka.protocol.schemas.fields.struct import StructField

from node.kafka import record_reader

_LEAST_WAIT_SECONDS: Final = 0.05


def install_record_reader() -> None:
    """Let all consumers of this process read batches with `node.kafka.record_reader`.

    The library's reader costs twice as much as decoding the events, and decompresses a batch
    without a bound. It is safe to call this again.
    """
    Fetcher.PartitionRecords._unpack_records = record_reader.records_of_fetch


def install_compile_lock() -> None:
    """Let one thread at a time compile the decoder of a kind of message.

    The library compiles a decoder when a message of a kind first arrives, and meanwhile replaces
    a proxy of the message's class by the class itself. If two clients of a process did that at the
    same moment, the first one restored the proxy while the second one compiled, and the second
    decoder raised `TypeError` for good: no client of the process could read that kind of message
    any more, and all requests timed out until the process was started again. It is safe to call
    this again.
    """
    compile_decoder = StructField.compiled_decode_from
    if hasattr(compile_decoder, "__wrapped__"):
        return
    lock = threading.RLock()

    @functools.wraps(compile_decoder)
    def compiled_decode_from(
        field: Any,
        version: int,
        compact: bool = False,
        tagged: bool = False,
        data_class: type | None = None,
    ) -> Any:
        compiled = field._compiled_encoders.get(("decode", version, compact, tagged, data_class))
        if compiled is not None:
            return compiled
        with lock:
            return compile_decoder(field, version, compact, tagged, data_class)

    StructField.compiled_decode_from = compiled_decode_from


class ForceClosingProducer(KafkaProducer):  # type: ignore[misc]
    """A producer that sends nothing after `close`.

    The library's `close` first flushes, and if that fails it raises and does nothing more: the
    thread lives on with all that was queued, and sends it when the broker is back, concurrently
    with the next producer. Each failed session left such a thread, with its megabytes.
    """

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """Close within `timeout` seconds; drop the records that are not acknowledged by then."""
        try:
            super().close(timeout, null_logger)
        except KafkaError:
            self._closed = True
            self._sender.force_close()
            self._sender.join(timeout)


class SelfClosingAdminClient(KafkaAdminClient):  # type: ignore[misc]
    """An admin client that closes itself if it cannot reach the cluster.

    The library's own leaves a thread and sockets open after each attempt.
    """

    def __init__(self, **configs: Any) -> None:
        try:
            super().__init__(**configs)
        except BaseException:
            self._closed = False  # set by the library's constructor only in its last lines
            self.close()
            raise


def wait_while_heartbeat_is_overdue(client: KafkaConsumer) -> None:
    """Keep `poll` from spinning while a heartbeat is overdue, as on a link that swallows all.

    The library waits no longer than until the next heartbeat, which is then 0 ms, and adds one
    more callback to the fetch under way in each of thousands of turns: a processor and, within
    the 20 s that a fetch may take, hundreds of megabytes. Heartbeats have a thread of their own.
    """
    coordinator = client._coordinator
    until_next = coordinator.time_to_next_poll
    coordinator.time_to_next_poll = lambda: max(until_next(), _LEAST_WAIT_SECONDS)


def keep_joining(client: KafkaConsumer) -> bool:
    """Let the client finish a join that took several polls; call it before each poll.

    If changed metadata began the join, the client considers it finished as soon as the leader has
    assigned the partitions. If a poll ended in between, the client never takes over its own: it
    has no partitions and sends no heartbeat, for good. So a join under way is requested again.

    Return whether a join is needed. A poll that ends before the join does restarts it, so polls
    must be longer the longer it takes.
    """
    coordinator = client._coordinator
    if coordinator.rejoining and not coordinator.rejoin_needed:
        coordinator.request_rejoin()
    return bool(coordinator.rejoin_needed)


def high_watermarks(
    client: KafkaConsumer, partitions: Iterable[TopicPartition], timeout_ms: int | None = None
) -> dict[TopicPartition, int]:
    """Return the ends of partitions, records of open transactions included; between polls only.

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


def next_offsets(client: KafkaConsumer) -> dict[TopicPartition, int]:
    """Return where the next fetch of each assigned partition begins, without a request.

    After a poll that is after its last record, and after what gives no records: transaction
    markers, aborted records, gaps. A partition without a position is left out.
    """
    assigned: Mapping[TopicPartition, Any] = client._subscription.assignment
    return {
        partition: state.position.offset
        for partition, state in [*assigned.items()]
        if state.position is not None
    }


def topic_ids(
    client: KafkaConsumer | KafkaProducer, topics: Iterable[str]
) -> dict[str, uuid.UUID | None]:
    """Return Kafka's id of each topic by the client's last metadata; None while unknown."""
    cluster = client._metadata if isinstance(client, KafkaProducer) else client._client.cluster
    return {topic: cluster.topic_id(topic) for topic in topics}


def known_topics(client: KafkaConsumer) -> set[str]:
    """Return the topics of the client's subscription that its last metadata has."""
    return {*client._client.cluster.topics(exclude_internal_topics=False)}


def refresh_metadata(client: KafkaConsumer) -> None:
    """Let the client request the list of topics soon; does not wait for the answer."""
    client._client.cluster.request_update()


def is_leaderless(client: KafkaConsumer, partition: TopicPartition) -> bool:
    """Return whether no broker leads the partition, by the client's last metadata."""
    leader = client._client.cluster.leader_for_partition(partition)
    return leader is None or leader < 0
