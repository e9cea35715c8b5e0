"""Latency 时延: command committed at a province → row visible at the centre, and at another one.

All on one machine and one clock: the nodes of Beijing, the centre and Shandong as they ship, a
watcher, and writers, which give commands at Shandong on a fixed schedule, whether or not the last
ones have arrived. A command's clock starts when its COMMIT has returned there; it stops when the
watcher, a process of its own, has the event's row in the answer to a query (see `watcher`).
So a figure holds the outbox, two or four network hops, Kafka, the consumer's transaction, and up to
one turn of the watcher (about 2 ms). The command itself is not in it.
"""

import time
from collections.abc import Mapping
from itertools import product
from typing import Any

from benchmarks.figures import Figure, Goal, percentile
from benchmarks.home import begin_at_end, empty
from benchmarks.plan import Plan
from benchmarks.watcher import Seen, watching
from benchmarks.writers import WRITERS, Planned, give
from cases.nodes import NATIONAL
from node.entrypoints.cli.demo_cases import Desk, open_desks
from node.entrypoints.cli.node_processes import running_nodes
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.errors import PetitionLinkError
from producers.commands.handle import handle
from producers.commands.parse import parse

PER_SECOND = 200
SECONDS = 30

_FIRST, _SECOND = "110000", "370000"
_NODES = (NATIONAL, _FIRST, _SECOND)
_QUIET_SECONDS = 60
_LATE = "late"
# What Shandong does with each case; every one of these events goes to the centre and to Beijing.
_STEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("land", {"unit": "虚构单位"}),
    ("accept", {"unit": "虚构单位", "procedure": "ordinary"}),
    ("decide", {"outcome": "supported", "opinion": "经核查,诉求合理,予以支持(虚构)。" * 10}),
    ("serve", {"method": "online"}),
    ("close", {"note": "虚构"}),
)
_CASES = PER_SECOND * SECONDS // len(_STEPS)
# Milliseconds.
_GOALS = {NATIONAL: {"p50": 15, "p99": 40}, _FIRST: {"p50": 30, "p99": 80}}
_AT_SECOND = "select count(*) from petition_case where state = 'assigned'"
_AT_CENTRE = "select count(*) from petition_case"


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Milliseconds, median and 99th percentile, to the centre and on to the other province."""
    runs = [_run(stack) for _ in plan.runs("latency")]
    ways = {NATIONAL: "province → centre", _FIRST: "province → centre → other province"}
    about = f"{PER_SECOND} commands/s for {SECONDS} s; commit returned → row seen by a poller"
    late = [percentile(run[_LATE], 0.99) for run in runs]
    return [
        *(
            Figure(
                f"end to end, {ways[node]}, {name}",
                "ms",
                [percentile(run[node], share) for run in runs],
                about,
                goal=Goal(_GOALS[node][name], of_ratio=False, below=True),
            )
            for node, (name, share) in product(ways, (("p50", 0.5), ("p99", 0.99)))
        ),
        Figure("– commands behind their schedule, p99", "ms", late, "a writer that was still busy"),
    ]


def _run(stack: LocalStack) -> dict[str, list[float]]:
    """What one run took in ms, by the node where the row was seen; and how late commands were."""
    empty(stack, _NODES)
    for node in _NODES:
        begin_at_end(node)
    with running_nodes(stack, _NODES, keep=False), open_desks(stack) as desks:
        cases = _assigned_cases(stack, desks)
        with watching({node: stack.dsn(node) for node in (NATIONAL, _FIRST)}) as watch:
            given = give(_SECOND, _plans(cases))
            committed = {event_id: at for event_id, at, _ in given}
            seen = watch.until(len(committed), _QUIET_SECONDS)
    late = [one.late * 1000 for one in given]
    return {_LATE: late} | {node: _milliseconds(committed, seen[node]) for node in seen}


def _milliseconds(committed: Mapping[str, float], seen: Seen) -> list[float]:
    missing = committed.keys() - seen.keys()
    if missing:
        raise PetitionLinkError(f"{len(missing)} events were never seen: see .local/bench.logs/")
    return [(seen[event_id] - at) * 1000 for event_id, at in committed.items()]


def _plans(cases: list[str]) -> list[list[Planned]]:
    """All commands on schedule, a case's by one writer; as ever, one step of all cases first."""
    plans: list[list[Planned]] = [[] for _ in range(WRITERS)]
    for number, ((name, given), (place, case_id)) in enumerate(product(_STEPS, enumerate(cases))):
        command = {"command": name, "case_id": case_id, **given}
        plans[place % WRITERS].append(Planned(number / PER_SECOND, command))
    return plans


def _assigned_cases(stack: LocalStack, desks: Mapping[str, Desk]) -> list[str]:
    """Cases registered in Beijing and assigned to Shandong, everything at rest."""
    register = {
        "command": "register",
        "channel": "web",
        "title": "虚构事项",
        "text": "虚构。" * 99,
    }
    cases = [_do(desks[_FIRST], register)[1] for _ in range(_CASES)]
    _await(stack, NATIONAL, _AT_CENTRE)
    for case_id in cases:
        _do(desks[NATIONAL], {"command": "assign", "case_id": case_id, "to": _SECOND})
    for node in (_SECOND, _FIRST):
        _await(stack, node, _AT_SECOND)
    return cases


def _do(desk: Desk, command: dict[str, Any]) -> tuple[str, str]:
    done = handle(desk.connection, desk.office, parse(command, desk.office))
    return done.event.event_id, done.case.case_id


def _await(stack: LocalStack, node: str, counter: str) -> None:
    deadline = time.monotonic() + _QUIET_SECONDS
    with connected(stack.dsn(node), "bench") as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while time.monotonic() < deadline:
            cursor.execute(counter)
            if cursor.fetchone() == (_CASES,):
                return
            time.sleep(0.05)
    raise PetitionLinkError(f"the cases did not arrive at {node}: see .local/bench.logs/")
