"""One phase of the soak: load and faults for some minutes, then quiet, then the oracle."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from soak.faults import KINDS, ROLLING, Kind, draw
from soak.load import loaded
from soak.oracle import Resources, await_quiet, checks
from soak.world import World
from support.ledgers import query

_PAUSE_SECONDS = 3.0
_CALM_SECONDS = 5.0
_MOST_FINDINGS = 20


class Result(NamedTuple):
    """The faults of a phase, and the findings when it was over."""

    phase: int
    seconds: float
    faults: dict[str, int]
    commands: dict[str, int]
    imported_rows: int
    events: dict[str, int]
    poisoned: dict[str, int]
    quiet_after_seconds: float
    oracle: dict[str, str]
    findings: list[str]


def run_phase(
    world: World,
    resources: Resources,
    *,
    phase: int,
    seed: int,
    seconds: float,
    rounds: int = 0,
    kinds: Sequence[Kind] = KINDS,
    folder: Path,
) -> Result:
    """Faults drawn by the seed and the number of the phase, under load; then the oracle.

    Load and pace are as fast as the machine: the same seed gives the same faults in the same
    order, not the same events.
    """
    began = time.monotonic()
    world.findings.clear()
    with loaded(world, folder, f"{seed}-{phase}") as (desks, importer):
        done = _break(world, random.Random(f"{seed}/{phase}"), seconds, rounds, tuple(kinds))
        world.heal_links()
    commands: Counter[str] = sum((desk.counts for desk in desks), Counter())
    world.revive()
    healed = time.monotonic()
    oracle = {"quiet": _verdict(world, await_quiet(world))}
    quiet_after = time.monotonic() - healed
    world.revive()
    world.await_ready()
    time.sleep(_CALM_SECONDS)  # what was just started has opened what it needs
    for letter, check in checks(resources).items():
        oracle[letter] = _verdict(world, check(world))
    return Result(
        phase,
        round(time.monotonic() - began, 1),
        dict(done),
        dict(commands),
        importer.rows,
        {node: int(query(node, "select count(*) from case_event")[0][0]) for node in world.nodes},
        dict(world.poisoned),
        round(quiet_after, 1),
        oracle,
        world.findings[:_MOST_FINDINGS],
    )


def _break(
    world: World, chance: random.Random, seconds: float, rounds: int, kinds: tuple[Kind, ...]
) -> Counter[str]:
    """Do one fault after the other until the time is over, and the rolling rounds among them."""
    done: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or rounds > 0:
        kind = draw(chance, kinds)
        if rounds > 0 and (time.monotonic() >= deadline or chance.random() < 1 / 4):
            kind, rounds = ROLLING, rounds - 1
        print(f"    {kind.name}", flush=True)
        try:
            kind.do(world, chance)
        except AssertionError as error:
            world.find(f"{kind.name}: {str(error)[:300]}")
        done[kind.name] += 1
        world.revive()
        time.sleep(chance.uniform(0, _PAUSE_SECONDS))
    return done


def _verdict(world: World, wrong: list[str]) -> str:
    for one in wrong:
        world.find(one)
    return "wrong" if wrong else "holds"
