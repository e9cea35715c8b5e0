"""What is replaced inside kafka-python is still there, and is still needed.

A test that fails here after an upgrade of the library says which patch to look at again.
"""

import ast
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import kafka as library
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.protocol.metadata import MetadataResponse
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from support.world import WAIT_SECONDS

from node.kafka import record_reader
from node.kafka.decompression import MAX_BATCH_BYTES
from node.kafka.library_patches import ForceClosingProducer

ROOT = Path(__file__).parents[2]
NOBODY = {"bootstrap_servers": "127.0.0.1:1", "api_version": (4, 0)}
GZIP = 1
# The only modules that may use what is private in the library.
INSIDE = ("library_patches.py", "record_reader.py")
LIBRARY_VERSION = "3.0.12"
# The private names that the product replaces or reads, by client.
PRIVATE_NAMES = {
    "consumer": (
        "_client.cluster.leader_for_partition",
        "_client.cluster.request_update",
        "_client.cluster.topic_id",
        "_client.cluster.topics",
        "_coordinator.rejoin_needed",
        "_coordinator.rejoining",
        "_coordinator.request_rejoin",
        "_coordinator.time_to_next_poll",
        "_fetcher._isolation_level",
        "_fetcher.PartitionRecords._unpack_records",
        "_fetcher.PartitionRecords._consume_aborted_transactions_up_to",
        "_fetcher.PartitionRecords._contains_abort_marker",
        "_fetcher.PartitionRecords._is_batch_aborted",
        "_subscription.assignment",
    ),
    "producer": ("_closed", "_metadata.topic_id", "_sender.force_close", "_sender.join"),
    "admin client": ("_closed",),
}
CLIENTS = {"client", "consumer", "producer", "admin", "fetcher", "coordinator", "part", "batch"}


@pytest.fixture
def consumer() -> Iterator[Any]:
    made = KafkaConsumer(**NOBODY, group_id="group", enable_auto_commit=False)
    yield made
    made.close(autocommit=False)


@pytest.fixture(params=[KafkaProducer, ForceClosingProducer])
def producer(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param(**NOBODY)
    yield made
    made._sender.force_close()
    made._sender.join()


def test_the_pinned_version_is_the_one_that_the_patches_were_written_for() -> None:
    assert library.__version__ == LIBRARY_VERSION


@pytest.mark.parametrize("name", PRIVATE_NAMES["consumer"])
def test_a_consumer_has_what_is_replaced_and_read_in_it(consumer: Any, name: str) -> None:
    assert attrgetter(name)(consumer) is not None


@pytest.mark.parametrize("name", PRIVATE_NAMES["producer"])
def test_a_producer_has_what_is_replaced_in_it(producer: Any, name: str) -> None:
    assert attrgetter(name)(producer) is not None


@pytest.mark.parametrize("name", PRIVATE_NAMES["admin client"])
def test_an_admin_client_looks_at_what_is_set_in_it(name: str) -> None:
    assert name in KafkaAdminClient.close.__code__.co_names


def test_batches_are_read_by_our_reader_and_the_library_has_no_bound_of_its_own() -> None:
    """If this fails the library may have a bound now: see `install_record_reader`."""
    assert Fetcher.PartitionRecords._unpack_records is record_reader.records_of_fetch
    builder = MemoryRecordsBuilder(2, GZIP, 2 * MAX_BATCH_BYTES)
    builder.append(0, None, bytes(MAX_BATCH_BYTES + 1), [])
    builder.close()
    (record,) = MemoryRecords(builder.buffer()).next_batch()
    assert len(record.value) > MAX_BATCH_BYTES


def test_a_producer_that_cannot_flush_is_closed_by_us_and_not_by_the_library(
    producer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails for the library's own, `ForceClosingProducer` can go."""

    def flush(_timeout: float | None = None) -> None:
        raise KafkaTimeoutError("records are unanswered")

    monkeypatch.setattr(producer, "flush", flush)
    with suppress(KafkaError):
        producer.close(timeout=10)
    assert producer._sender.is_alive() == (type(producer) is KafkaProducer)


def test_an_admin_client_that_reaches_nobody_leaves_its_thread_after() -> None:
    """If this fails, `SelfClosingAdminClient` can go."""
    before = {*threading.enumerate()}
    left: list[Any] = []

    class Remembered(KafkaAdminClient):  # type: ignore[misc]
        def __init__(self) -> None:
            left.append(self)
            super().__init__(**NOBODY, bootstrap_timeout_ms=100, request_timeout_ms=100)

    with pytest.raises(KafkaError):
        Remembered()
    assert {*threading.enumerate()} - before
    left[0]._closed = False
    left[0].close()
    assert not {*threading.enumerate()} - before


def test_a_poll_of_the_library_does_not_wait_while_a_heartbeat_is_overdue(consumer: Any) -> None:
    """If this fails, `wait_while_heartbeat_is_overdue` can go."""
    coordinator = consumer._coordinator
    coordinator.time_to_next_heartbeat = lambda: 0
    assert coordinator.time_to_next_poll() == 0


def test_the_library_cannot_be_asked_for_high_watermarks() -> None:
    """If this fails, `high_watermarks` may ask by an argument."""
    assert [*inspect.signature(KafkaConsumer.end_offsets).parameters] == [
        "self",
        "partitions",
        "timeout_ms",
    ]


def test_nothing_else_uses_what_is_private_in_the_library() -> None:
    used = [
        f"{path.relative_to(ROOT)}:{found.lineno}"
        for package in ("node", "producers", "consumers")
        for path in (ROOT / package).rglob("*.py")
        if path.name not in INSIDE
        for found in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(found, ast.Attribute) and _is_private(found)
    ]
    assert used == []


def _is_private(found: ast.Attribute) -> bool:
    """Tell if it is a private name of something that is called as Kafka clients are."""
    owner = found.value
    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
    if not found.attr.startswith("_") or found.attr.startswith("__"):
        return False
    return name.lstrip("_") in CLIENTS and found.attr != "_asdict"


def test_two_clients_that_read_a_kind_of_message_for_the_first_time_can_both_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen failing without the lock: "object.__new__(X): X is not a type object" for good. It was
    met in about one start of two hundred: no request of the process was answered any more."""
    field = MetadataResponse._struct
    version = MetadataResponse.max_version
    answer = MetadataResponse(version=version, brokers=[], topics=[]).encode()
    monkeypatch.setattr(field, "_compiled_encoders", {})
    emit, calls = field.emit_decode_from, []
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def slow_emit(*given: Any, **named: Any) -> Any:
        calls.append(threading.current_thread())
        if len(calls) == 1:
            first_is_in.set()
            second_is_in.wait(1)  # with the lock it does not come
        elif not first_is_out.is_set():
            second_is_in.set()
            first_is_out.wait(WAIT_SECONDS)
        return emit(*given, **named)

    monkeypatch.setattr(field, "emit_decode_from", slow_emit)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(MetadataResponse.decode, answer, version=version)
        assert first_is_in.wait(WAIT_SECONDS)
        second = pool.submit(MetadataResponse.decode, answer, version=version)
        assert first.result().brokers == []
        first_is_out.set()
        assert second.result().brokers == []
    assert MetadataResponse.decode(answer, version=version).brokers == []
