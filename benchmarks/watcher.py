"""The watcher 观察进程: sees rows of the ledger appear, from outside every node.

A process of its own asks each database in turn, about every 2 ms, for the sum of its consumer's
positions. When that has moved, a transaction was committed that applied records; the events that
are new since the last look are fetched, and the instant at which the answer is here is theirs.
"""

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Any

from node.postgres.connection import connect
from node.postgres.statements import Prepared, Statement, run
from node.runtime.errors import PetitionLinkError

# When each event id was seen, in epoch seconds.
Seen = dict[str, float]

_LOOK_SECONDS = 0.001
_START_SECONDS = 30
_MOVED = Prepared("moved", "select coalesce(sum(next_offset), 0)::bigint from consumer_offset")
# One consumer writes here, one transaction after the other: what is new has a higher number.
_NEW = (
    "select applied_xid::text, event_id::text from case_event where applied_xid > %s::xid8 "
    "order by applied_xid"
)
_BEGIN = "select (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text"


class Watch:
    """A watcher at work."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def until(self, events: int, limit_seconds: float) -> dict[str, Seen]:
        """Wait until each database has `events` events, or the limit; return what was seen."""
        self._pipe.send((events, time.time() + limit_seconds))
        if not self._pipe.poll(limit_seconds + _START_SECONDS):
            raise PetitionLinkError("the watcher does not answer")
        seen: dict[str, Seen] = self._pipe.recv()
        return seen


@contextmanager
def watching(dsns: Mapping[str, str]) -> Iterator[Watch]:
    """Watch the databases, by node, for events that arrive from now on."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_watch, args=(dict(dsns), theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(_START_SECONDS):
            raise PetitionLinkError("the watcher did not start")
        ours.recv()
        yield Watch(ours)
    finally:
        process.terminate()
        process.join()


def _watch(dsns: dict[str, str], pipe: Pipe) -> None:
    ledgers = {node: _Ledger(dsn) for node, dsn in dsns.items()}
    pipe.send("ready")
    events, deadline = None, float("inf")
    while time.time() < deadline:
        for ledger in ledgers.values():
            ledger.look()
        if pipe.poll(_LOOK_SECONDS):
            events, deadline = pipe.recv()
        if events is not None and all(len(each.seen) >= events for each in ledgers.values()):
            break
    pipe.send({node: ledger.seen for node, ledger in ledgers.items()})


class _Ledger:
    """One database under watch."""

    def __init__(self, dsn: str) -> None:
        connection = connect(dsn, "bench-watcher")
        connection.autocommit = True
        self._cursor = connection.cursor()
        self._sum = self._ask(_MOVED)[0][0]
        self._last: str = self._ask(_BEGIN)[0][0]
        self.seen: Seen = {}

    def look(self) -> None:
        moved = self._ask(_MOVED)[0][0]
        if moved == self._sum:
            return
        self._sum = moved
        found = self._ask(_NEW, (self._last,))
        now = time.time()
        for self._last, event_id in found:
            self.seen.setdefault(event_id, now)

    def _ask(self, sql: str | Prepared, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        run(self._cursor, [Statement(sql, values)])
        return self._cursor.fetchall()
