"""Clients of Kafka that cannot reach it leave nothing behind."""

from __future__ import annotations

import gc
import os
import threading

import pytest
from kafka.errors import KafkaError

from node import kafka
from node.settings import Settings

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
    monkeypatch.setattr(kafka, "_LOOK_TIMEOUT_MS", 100)
    nobody = Settings(
        node="370000", postgres_dsn="postgresql://x", kafka_bootstrap_servers="127.0.0.1:1"
    )
    seen = []
    for _ in range(ATTEMPTS):
        with pytest.raises(KafkaError):
            kafka.existing_topics(nobody)
        seen.append(held())
    assert len(set(seen)) == 1, seen
