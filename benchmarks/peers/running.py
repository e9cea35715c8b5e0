"""One run of a peer 一次运行: the same clock for all, from outside the process."""

import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import parse_dsn

from benchmarks.pace import pace
from benchmarks.peers import tables
from benchmarks.peers.topic import last_event_ids
from node.entrypoints.cli.node_processes import end
from node.localstack import LocalStack
from node.localstack.folder import PROJECT

# Nothing of our own environment may reach a peer but what a process needs to start.
_PASSED_ON = ("PATH", "HOME", "JAVA_HOME", "LANG", "TMPDIR")
_PG_NAMES = {"dbname": "database"}


@dataclass(frozen=True)
class Course:
    """What a peer is given: where to read, as whom, where to write, and until when."""

    broker: str
    topic: str
    group: str
    dsn: str
    goal: int
    last_event_ids: Sequence[str]

    def timed(self, process: subprocess.Popen[bytes]) -> float:
        """Events per second of the process until all are there; its rows are counted then.

        The clock is that of our own consumer (`benchmarks.pace`): from the first commit to the
        last, starting and joining are not counted.
        """
        query = tables.counter(self.goal, list(self.last_event_ids))
        rate = pace(self.dsn, query, self.goal, process)
        tables.check(self.dsn, self.goal, whole=bool(self.last_event_ids))
        return rate


def course(
    stack: LocalStack, name: str, topic: str, events: int, part: int | None = None
) -> Course:
    """Prepare an empty table and a new group at the start of the topic; `part` limits the rows."""
    last = last_event_ids(topic, events)
    goal = min(part or events, events)
    group = f"bench.{name}.{uuid.uuid4().hex[:8]}"
    return Course(
        broker=stack.bootstrap_servers,
        topic=topic,
        group=group,
        dsn=tables.fresh(stack),
        goal=goal,
        last_event_ids=last if goal == events else (),
    )


def postgres_environment(dsn: str) -> dict[str, str]:
    """The address as every client of Postgres reads it from its environment."""
    parts = parse_dsn(dsn)
    return {f"PG{_PG_NAMES.get(name, name).upper()}": str(value) for name, value in parts.items()}


@contextmanager
def process(
    stack: LocalStack, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """The peer's process, ended behind the block; it writes to the stack's logs."""
    log = log_file(stack, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        started = subprocess.Popen(
            list(command),
            cwd=PROJECT,
            env={**_little_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        end([started])


def log_file(stack: LocalStack, name: str) -> Path:
    """Where a peer's process writes."""
    return stack.folder / "logs" / f"peer-{name}.log"


def _little_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
