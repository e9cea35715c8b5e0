"""Clients of Kafka that cannot reach it leave nothing open."""

import gc
import os
import threading
import weakref

import pytest
from kafka.errors import KafkaError
from pydantic import SecretStr

from node.kafka import clients
from node.runtime.memory import give_back
from node.runtime.settings import Settings

ATTEMPTS = 3


def held() -> tuple[int, int]:
    """Threads and open files of this process, without those that only wait for the collector."""
    gc.collect()
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


def test_a_cluster_that_is_away_costs_no_thread_and_no_socket_at_each_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node asks every few seconds. Found by the soak (d); seen failing with the library's own
    client: a thread and four files each time."""
    monkeypatch.setattr(clients, "_LOOK_TIMEOUT_MS", 100)
    nobody = Settings(
        node="370000",
        postgres_dsn=SecretStr("postgresql://x"),
        kafka_bootstrap_servers="127.0.0.1:1",
    )
    seen = []
    for _ in range(ATTEMPTS):
        with pytest.raises(KafkaError):
            clients.existing_topics(nobody)
        seen.append(held())
    assert len(set(seen)) == 1, seen


def test_a_poll_waits_although_a_heartbeat_is_overdue() -> None:
    """Found by the soak (d). Seen failing without `wait_while_heartbeat_is_overdue`: on a link that
    swallows what is sent a poll turns without a pause, 60,000 callbacks and 350 MB in one outage.
    """
    nobody = Settings(
        node="370000",
        postgres_dsn=SecretStr("postgresql://x"),
        kafka_bootstrap_servers="127.0.0.1:1",
    )
    client = clients.consumer(nobody, fetch_wait_ms=100)
    try:
        coordinator = client._coordinator
        coordinator.time_to_next_heartbeat = lambda: 0
        assert coordinator.time_to_next_poll() > 0
        coordinator.time_to_next_heartbeat = lambda: 3.0
        assert coordinator.time_to_next_poll() == 3.0
    finally:
        client.close(autocommit=False)


def test_what_hangs_in_circles_is_given_back_too() -> None:
    """Seen failing with `malloc_trim` alone."""
    before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        circle: list[object] = []
        circle.append(circle)
        gone = weakref.ref(Held(circle))
        del circle
        assert gone() is not None
        give_back()
        assert gone() is None
    finally:
        gc.set_threshold(*before)


class Held:
    """Lives as long as the circle that it puts itself into."""

    def __init__(self, circle: list[object]) -> None:
        circle.append(self)
