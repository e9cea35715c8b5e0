"""The oracle, when all is quiet: what must hold, each check by its letter in docs/faults.md.

(a) every emitter's sequence of every case is 1…n at every node; (b) what was committed to an
outbox is applied at its destination; what was poison is dead-lettered, no more and no less;
(c) province and centre hold the same events and fold them to the same cases, and their own proof,
digests and accounts included, says so; (d) the memory,
threads and file descriptors of a process are what they were when it was first quiet.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from soak.world import World
from support.ledgers import BAD_SEQUENCES, assert_equal, await_settled, differences, query
from support.processes import Process, resident_bytes

QUIET_SECONDS = 120.0
# What a process may have more than when it was first quiet: buffers of clients, caches of Python,
# the producer of dead letters, and sockets of refused connects that wait for the collector (some
# ten come and go while a link is down).
_MORE_BYTES = 60_000_000
_MORE_THREADS = 6
_MORE_FILES = 20
# A connection that a fault left behind is noticed by its owner within this time.
_CALM_SECONDS = 25.0
_UNAPPLIED = """
    select count(*) from case_event e where not exists
        (select from petition_case c where c.case_id = e.case_id)
"""
_INCOMPLETE = "select count(*) from petition_case where incomplete"
_DEAD = "select count(*) from dead_letter"
_PENDING = "select count(*) from outbox where published_at is null"
# An event of a province must be at the centre; the centre's, where its outbox says.
_OWED = "select event_id::text from outbox where topic = %s"
_THERE = "select event_id::text from case_event where event_id::text = any(%s)"


class Held(NamedTuple):
    """The resources of the machine that a process holds."""

    bytes: int
    threads: int
    files: int


Check = Callable[[World], list[str]]


def await_quiet(world: World) -> list[str]:
    """Wait until all is delivered; return what did not come to rest in time."""
    began = time.monotonic()
    while True:
        try:
            await_settled(world.stack, QUIET_SECONDS)
            return []
        except AssertionError as error:
            return [f"not quiet after {time.monotonic() - began:.0f} s: {error}"]


def sequences(world: World) -> list[str]:
    """(a)"""
    bad = {node: query(node, BAD_SEQUENCES) for node in world.nodes}
    return [f"sequences of {node} are not 1…n: {found[:3]}" for node, found in bad.items() if found]


def accounts(world: World) -> list[str]:
    """(b)"""
    found = [_account(world, node) for node in world.nodes]
    return [one for several in found for one in several]


def _account(world: World, node: str) -> list[str]:
    wrong = []
    for name, text, expected in (
        ("pending", _PENDING, 0),
        ("incomplete", _INCOMPLETE, 0),
        ("events without a case", _UNAPPLIED, 0),
        ("dead letters", _DEAD, world.poisoned[node]),
    ):
        ((number,),) = query(node, text)
        if number != expected:
            wrong.append(f"{node}: {name} {number}, expected {expected}")
    return wrong + _missing(world, node)


def _missing(world: World, node: str) -> list[str]:
    """Events that were owed to this node and are not in its ledger."""
    source = world.centre if node != world.centre else None
    sources = [source] if source else [one for one in world.nodes if one != node]
    wrong = []
    for sender in sources:
        topic = f"petition.{'downlink' if source else 'uplink'}.{node if source else sender}"
        owed = {one for (one,) in query(sender, _OWED, topic)}
        there = {one for (one,) in query(node, _THERE, [*owed])}
        if owed - there:
            wrong.append(
                f"{node} lacks {len(owed - there)} events of {sender}: {min(owed - there)}"
            )
    return wrong


def equality(world: World) -> list[str]:
    """(c)"""
    wrong = []
    for node in world.nodes[1:]:
        try:
            assert_equal(node)
        except AssertionError as error:
            wrong.append(f"{node} and the centre differ: {str(error)[:300]}")
        wrong += differences(node)
    return wrong


class Resources:
    """(d): what each process held when it was first quiet, and holds now."""

    def __init__(self) -> None:
        self._first: dict[int, Held] = {}

    def __call__(self, world: World) -> list[str]:
        """Return what has grown; a process that is seen for the first time is only recorded."""
        deadline = time.monotonic() + _CALM_SECONDS
        while (wrong := self._grown(world)) and time.monotonic() < deadline:
            time.sleep(1.0)
        return wrong

    def _grown(self, world: World) -> list[str]:
        wrong = []
        for name, process in world.processes.items():
            now = held(process)
            first = self._first.setdefault(process.pid, now)
            limits = Held(
                first.bytes + _MORE_BYTES,
                first.threads + _MORE_THREADS,
                first.files + _MORE_FILES,
            )
            if any(value > limit for value, limit in zip(now, limits, strict=True)):
                wrong.append(f"{name} grew from {first} to {now}")
        return wrong


def held(process: Process) -> Held:
    """Return what a process holds now."""
    folder = Path(f"/proc/{process.pid}")
    return Held(
        resident_bytes(process.pid),
        len([*(folder / "task").iterdir()]),
        len([*(folder / "fd").iterdir()]),
    )


def checks(resources: Resources) -> dict[str, Check]:
    """Run all checks, by letter."""
    return {"a": sequences, "b": accounts, "c": equality, "d": resources}
