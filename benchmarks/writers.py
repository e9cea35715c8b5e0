"""Writers 写入进程: commands on a schedule that one process could not keep.

A command is a transaction of some milliseconds, committed to the disk, and at 200 a second one
after the other there would be no pause between them. Several processes share the schedule, each
with a connection of its own, so that no command waits for another's and no clock for an
interpreter. A case stays with one writer: its commands keep their order.
"""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Any, NamedTuple

from node.keys.office import open_office
from node.localstack.stack import stack_settings
from node.postgres.connection import connected
from node.runtime.errors import PetitionLinkError
from producers.commands.handle import handle
from producers.commands.parse import parse

WRITERS = 3
_START_SECONDS = 30


class Planned(NamedTuple):
    """A command, and how many seconds after the start it is due."""

    due: float
    command: dict[str, Any]


class Committed(NamedTuple):
    """Its event, when its commit had returned in epoch seconds, and how late it was given."""

    event_id: str
    at: float
    late: float


def give(node: str, plans: Sequence[Sequence[Planned]]) -> list[Committed]:
    """Give the commands of all plans, each plan by a process of its own, beginning together."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for plan in plans:
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=_write, args=(node, plan, theirs), daemon=True))
        pipes.append(ours)
    for process in processes:
        process.start()
    try:
        for pipe in pipes:
            _received(pipe, _START_SECONDS)
        for pipe in pipes:
            pipe.send("begin")
        seconds = max(plan[-1].due for plan in plans)
        return [one for pipe in pipes for one in _received(pipe, seconds + _START_SECONDS)]
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _received(pipe: Pipe, seconds: float) -> list[Committed]:
    if not pipe.poll(seconds):
        raise PetitionLinkError("a writer does not answer")
    received: list[Committed] = pipe.recv()
    return received


def _write(node: str, plan: Sequence[Planned], pipe: Pipe) -> None:
    settings = stack_settings(node)
    office, committed = open_office(settings), []
    with connected(settings.dsn, "bench") as connection:
        pipe.send([])
        pipe.recv()
        began = time.monotonic()
        for due, command in plan:
            time.sleep(max(0.0, began + due - time.monotonic()))
            late = time.monotonic() - began - due
            done = handle(connection, office, parse(command, office))
            committed.append(Committed(done.event.event_id, time.time(), late))
    pipe.send(committed)
