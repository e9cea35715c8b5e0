"""The stack's own servers, stopped and started again under whoever uses them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.world import eventually

from node.localstack import LocalStack, broker, postgres
from node.localstack.state import Kafka, Postgres, read_state


@contextmanager
def postgres_away(stack: LocalStack) -> Iterator[None]:
    """Postgres is shut down inside the block and up again behind it."""
    known = read_state(stack.folder).postgres
    assert isinstance(known, Postgres)
    assert postgres.stop(Path(known.folder))
    try:
        yield
    finally:
        postgres.start(known)


@contextmanager
def broker_killed(stack: LocalStack) -> Iterator[None]:
    """The broker is killed and is away inside the block; it answers again behind it."""
    known = read_state(stack.folder).kafka
    assert isinstance(known, Kafka)
    os.kill(_broker_pid(stack), signal.SIGKILL)
    eventually(lambda: broker.find(stack.folder) is None, "the broker is gone")
    broker.stop(stack.folder)  # buries it if it was our child
    try:
        yield
    finally:
        broker.start(stack.folder, known)
        broker.await_ready(stack.folder, known)


@contextmanager
def broker_frozen(stack: LocalStack) -> Iterator[None]:
    """The broker holds its connections and answers nothing inside the block."""
    pid = _broker_pid(stack)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _broker_pid(stack: LocalStack) -> int:
    pid = broker.find(stack.folder)
    assert pid is not None
    return pid
