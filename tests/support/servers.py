"""The stack's own servers, stopped and started again under whoever uses them."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2
from support.world import eventually

from node.localstack import LocalStack, broker, postgres
from node.localstack.state import Kafka, Postgres, read_state


@contextmanager
def postgres_away(stack: LocalStack) -> Iterator[None]:
    """Shut Postgres down inside the block and start it again after it."""
    known = read_state(stack.folder).postgres
    assert isinstance(known, Postgres)
    assert postgres.stop(Path(known.folder))
    try:
        yield
    finally:
        postgres.start(known)


@contextmanager
def broker_killed(stack: LocalStack) -> Iterator[None]:
    """Kill the broker; it is away inside the block and answers again after it."""
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
    """Let the broker hold its connections and answer nothing inside the block."""
    pid = _broker_pid(stack)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def postgres_frozen(stack: LocalStack) -> Iterator[None]:
    """Postgres and all its backends hold their connections and answer nothing inside the block."""
    known = read_state(stack.folder).postgres
    assert isinstance(known, Postgres)
    postmaster = postgres.find(Path(known.folder))
    assert postmaster is not None
    stopped = [postmaster]
    os.kill(postmaster, signal.SIGSTOP)  # it makes no further ones
    try:
        for pid in _children(postmaster):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        yield
    finally:
        for pid in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def standby_gone(stack: LocalStack) -> Iterator[None]:
    """Let every COMMIT in the stack's Postgres wait for a standby that never comes."""
    _alter_system(stack, "alter system set synchronous_standby_names = 'nobody'")
    try:
        yield
    finally:
        _alter_system(stack, "alter system reset synchronous_standby_names")


def _alter_system(stack: LocalStack, statement: str) -> None:
    with closing(psycopg2.connect(stack.postgres_dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("show synchronous_standby_names")
            before = cursor.fetchone()
            cursor.execute(statement)
            cursor.execute("select pg_reload_conf()")

            def reloaded() -> bool:
                cursor.execute("show synchronous_standby_names")
                return cursor.fetchone() != before

            eventually(reloaded, statement)


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if entry.name.isdecimal():
                # "pid (name) state parent …"; a name may have brackets and spaces in it.
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                found += [int(entry.name)] if int(parent) == pid else []
    return found


def _broker_pid(stack: LocalStack) -> int:
    pid = broker.find(stack.folder)
    assert pid is not None
    return pid
