"""One run of a peer 一次运行: the same clock for all, from outside the process."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from psycopg2.extensions import parse_dsn

from benchmarks.pace import pace
from benchmarks.peers import tables
from benchmarks.peers.topic import last_event_ids
from node.cli.processes import end
from node.localstack import LocalStack
from node.localstack.folder import PROJECT

# Nothing of our own environment may reach a peer but what a process needs to start.
_PASSED_ON = ("PATH", "HOME", "JAVA_HOME", "LANG", "TMPDIR")

_PG_NAMES = {"dbname": "database"}


class Task(NamedTuple):
    """What a peer is given: where to read, as whom, and where to write."""

    broker: str
    topic: str
    group: str
    dsn: str


class Work(NamedTuple):
    """The process that a peer is, made for one task."""

    command: Sequence[str]
    environment: Mapping[str, str]


def measured(
    stack: LocalStack, name: str, topic: str, events: int, work: Callable[[Task], Work],
    *, part: int | None = None,
) -> float:  # fmt: skip
    """Events per second of one run: a fresh table, a new group, the topic from its beginning.

    The clock is that of our own consumer (`benchmarks.pace`): from the first commit to the last,
    starting and joining are not counted. With `part` it ends when so many rows are there.
    """
    last = last_event_ids(topic, events)
    goal = min(part or events, events)
    whole = goal == events
    dsn = tables.fresh(stack)
    task = Task(stack.bootstrap_servers, topic, f"bench.{name}.{uuid.uuid4().hex[:8]}", dsn)
    with _process(work(task), log_file(stack, name)) as process:
        rate = pace(dsn, tables.counter(goal, last if whole else []), goal, process)
    tables.check(dsn, goal, whole=whole)
    return rate


def postgres_environment(dsn: str) -> dict[str, str]:
    """The address as every client of Postgres reads it from its environment."""
    parts = parse_dsn(dsn)
    return {f"PG{_PG_NAMES.get(name, name).upper()}": str(value) for name, value in parts.items()}


def log_file(stack: LocalStack, name: str) -> Path:
    """Where a peer's process writes."""
    return stack.folder / "logs" / f"peer-{name}.log"


@contextmanager
def _process(work: Work, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            list(work.command),
            cwd=PROJECT,
            env={**_little_environment(), **work.environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end([process])


def _little_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
