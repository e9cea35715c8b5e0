"""A small world for integration tests: offices, workers in threads, records written by hand."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import uuid_utils

from node.kafka import clients
from node.kafka.clients import TopicPartition
from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.errors import PetitionLinkError
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop, Worker, keep_open
from node.store import events as store_events
from node.store.write_events import pack, write_events
from producers.commands.handle import Done, handle
from producers.commands.parse import parse
from schemas.catalogue import catalogue
from schemas.event import Event
from schemas.validation.forms import fill
from schemas.wire import make_event, wire_headers

# How long a test waits for any state. An idle machine needs seconds; one that runs other suites
# beside it needs many more, and a longer bound costs nothing where the state comes. `protections`
# shortens it: there most waits are in vain.
WAIT_SECONDS = float(os.environ.get("TEST_WAIT_SECONDS", "180"))


def eventually(check: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until `check` holds; fail with `what` if it never does."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


@contextmanager
def running(worker: Worker, metrics: Metrics) -> Iterator[list[BaseException]]:
    """Run the worker in a thread until the block ends; the list has what ended it earlier."""
    stop, ended = Stop(), []

    def work() -> None:
        try:
            keep_open(worker, metrics, stop)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


def rows(
    settings: Settings, query: str, values: Sequence[Any] | Mapping[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """Return a query's rows in the node's database; changes are committed."""
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def count(settings: Settings, table: str) -> int:
    """Count the rows of a table."""
    return int(rows(settings, f"select count(*) from {table}")[0][0])


def do(settings: Settings, name: str, **given: Any) -> Done:
    """Give one command at the node of `settings`, as its desk would."""
    office = open_office(settings)
    with connected(settings.dsn, "test") as connection:
        return handle(connection, office, parse({"command": name, **given}, office))


def register(settings: Settings, **given: Any) -> str:
    """Register a new case; return its id."""
    return do(settings, "register", title="供暖不足", channel="web", **given).case.case_id


def event(case_id: str, version: int = 1, emitter: str = "110000", **changed: Any) -> Event:
    """Return an event of another node, ready to be written to a topic."""
    given: dict[str, Any] = {
        "type_": "petition.case.registered.v1",
        "event_id": str(uuid_utils.uuid7()),
        "case_id": case_id,
        "version": version,
        "emitter": emitter,
        "emitter_sequence": version,
        "occurred_at": 1_767_225_600_000_000,
        "recorded_at": 1_767_225_600_000_000,
        "actor": "test",
        "rule_set": "XF2022",
        "body": {"title": "测试", "channel": "web", "received_at": 1_767_225_600_000_000},
    } | changed
    given["body"] = fill(catalogue().by_type[given["type_"]], given["body"])
    return make_event(given.pop("type_"), **given)


def receive(settings: Settings, *events: Event) -> None:
    """Apply events as the consumer would, without Kafka."""
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        source = store_events.RecordSource("petition.test", 0, 0, 0)
        entries = [
            store_events.Entry(one, store_events.body_json(one.body), source) for one in events
        ]
        write_events(cursor, settings.node, pack(entries))


Raw = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


def raw(one: Event) -> Raw:
    """Return an event as key, value and headers."""
    return one.key, one.value, wire_headers(one)


def send(settings: Settings, topic: str, records: Sequence[Raw], partition: int = 0) -> None:
    """Write records to one partition, in order."""
    producer = clients.producer(settings, "test")
    try:
        sent = [
            producer.send(topic, value, key, headers, partition=partition)
            for key, value, headers in records
        ]
        for future in sent:
            future.get(timeout=WAIT_SECONDS)
    finally:
        producer.close(timeout=1)


def read_topic(settings: Settings, topic: str, expected: int) -> list[Any]:
    """Return the first `expected` records of a topic over all its partitions."""
    client = clients.plain_consumer(settings, "test")
    try:
        partitions = [
            TopicPartition(topic, number) for number in client.partitions_for_topic(topic) or ()
        ]
        client.assign(partitions)
        for one, first in client.beginning_offsets(partitions).items():
            client.seek(one, first)
        found: list[Any] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while len(found) < expected and time.monotonic() < deadline:
            for several in client.poll(timeout_ms=200).values():
                found += several
        return found
    finally:
        client.close()


def end_offset(settings: Settings, topic: str, partition: int = 0) -> int:
    """Return the offset of the next record of a partition."""
    client = clients.plain_consumer(settings, "test")
    try:
        one = TopicPartition(topic, partition)
        return int(client.end_offsets([one])[one])
    finally:
        client.close()


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    """Return a metric's present value; 0 if it has none yet."""
    return metrics.registry.get_sample_value(f"petitionlink_{name}", labels) or 0.0


def ended_with(ended: list[BaseException]) -> str:
    """Wait until an error has ended a worker; return its message."""
    eventually(lambda: bool(ended), "the worker should end")
    assert isinstance(ended[0], PetitionLinkError)
    return str(ended[0])


def stopped_with(settings: Settings, reason: str) -> str:
    """Wait until the consumer has stopped a partition for this reason; return its message."""
    query = "select detail from stopped_partition where reason = %s order by topic, partition"
    eventually(lambda: bool(rows(settings, query, (reason,))), f"a partition stops: {reason}")
    return str(rows(settings, query, (reason,))[0][0])
