"""A consumer's session applies one batch while the next is made: order, waiting, failures."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest

from consumers.batch import Batch, Polled
from consumers.policy import DEFAULT_POLICY
from consumers.session import ConsumerSession
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

_LONG = 10.0
_NOTHING = Polled({}, [], {})


class Applier:
    """Stands for the database: each batch waits for its permit, and an error may be raised."""

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.applied: list[int] = []
        self.failing: dict[int, Exception] = {}

    def apply(self, batch: Batch) -> None:
        self.begun.release()
        assert self.permits.acquire(timeout=_LONG)
        if batch.read_at in self.failing:
            raise self.failing[batch.read_at]
        self.applied.append(batch.read_at)


@contextmanager
def opened(applier: Applier) -> Iterator[ConsumerSession]:
    """A session without Kafka and Postgres."""
    addresses: Any = {"postgres_dsn": "dbname=none", "kafka_bootstrap_servers": "none:1"}
    settings = Settings(node="370000", **addresses)
    given: Any = (Mock(), Mock(), Mock(), Mock(), applier)
    session = ConsumerSession(settings, Metrics(), lambda: 0, DEFAULT_POLICY, *given)
    try:
        yield session
    finally:
        session.drop()


def submit(session: ConsumerSession, number: int) -> None:
    """Submit a batch that is told apart by its time."""
    session.submit(_NOTHING, Batch([], [], [], number))


def blocked(call: Callable[..., None], *given: Any) -> threading.Thread:
    """`call` on a thread of its own, where it waits."""
    waiting = threading.Thread(target=call, args=given)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    return waiting


def test_everything_is_applied_once_in_the_order_in_which_it_was_submitted() -> None:
    applier = Applier()
    applier.permits.release(100)
    with opened(applier) as session:
        for number in range(100):
            submit(session, number)
        session.drop()
    assert applier.applied == [*range(100)]


def test_the_loop_goes_on_while_a_batch_is_applied_and_waits_with_the_next() -> None:
    applier = Applier()
    with opened(applier) as session:
        submit(session, 0)
        assert applier.begun.acquire(timeout=_LONG)
        second = blocked(submit, session, 1)
        applier.permits.release(2)
        second.join(_LONG)
        session.drop()
    assert applier.applied == [0, 1]


def test_a_failure_is_raised_once_and_what_is_submitted_then_is_dropped() -> None:
    applier = Applier()
    applier.failing[0] = KeyError("refused")
    applier.permits.release(2)
    with opened(applier) as session:
        submit(session, 0)
        with pytest.raises(KeyError, match="refused"):
            submit(session, 1)
        submit(session, 2)
        session.drop()
    assert applier.applied == [2]


def test_dropping_waits_for_what_is_being_applied() -> None:
    applier = Applier()
    with opened(applier) as session:
        submit(session, 0)
        assert applier.begun.acquire(timeout=_LONG)
        dropping = blocked(session.drop)
        applier.permits.release(1)
        dropping.join(_LONG)
        assert not dropping.is_alive()
    assert applier.applied == [0]


def test_a_failure_is_forgotten_when_everything_is_dropped() -> None:
    applier = Applier()
    applier.failing[0] = KeyError("refused")
    applier.permits.release(2)
    with opened(applier) as session:
        submit(session, 0)
        session.drop()
        submit(session, 1)
        session.drop()
    assert applier.applied == [1]


def test_no_thread_is_left_and_none_keeps_a_process_that_was_told_to_stop_from_ending() -> None:
    """Seen failing with a ThreadPoolExecutor: the interpreter waits for its threads at exit."""
    before = threading.active_count()
    applier = Applier()
    with opened(applier) as session:
        submit(session, 0)
        assert applier.begun.acquire(timeout=_LONG)
        (applying,) = (one for one in threading.enumerate() if one.name == "applying")
        assert applying.daemon
        applier.permits.release(1)
    assert threading.active_count() == before
