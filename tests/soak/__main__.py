"""`make soak`: four nodes on a stack of their own, broken at random for as long as is asked.

MINUTES (30), SEED (of the clock) and the phase's length in SOAK_PHASE_SECONDS (150) come from the
environment. A soak that was killed goes on with its next phase when it is started again with the
same seed, or without one. Exit code 1 if anything was found.
"""

import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soak.journal import Journal
from soak.oracle import Resources
from soak.phases import run_phase
from soak.report import report
from soak.world import end_leftovers, running_world
from support.links import broker_with, kafka_link_of, make_listeners, postgres_link

from node import localstack

NODES = ("000000", "110000", "370000", "660000")
FOLDER = Path(__file__).parents[2] / ".local" / "soak"
_MINUTES = 30.0
_PHASE_SECONDS = 150.0
# Settling and the oracle take about half a minute of each phase.
_OVERHEAD_SECONDS = 30.0
_ROLLING_ROUNDS = 20


def main() -> int:
    """Run the soak; return the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ["PETITIONLINK_LOCAL"] = str(FOLDER)
    journal = Journal(FOLDER / "journal.jsonl")
    plan = _unfinished(journal)
    if plan is None:
        plan = _new_plan()
        _clear()
        journal.begin(plan)
    begin = len(journal.results()) + 1
    print(f"seed {plan['seed']}: phases {begin} to {plan['phases']} in {FOLDER}", flush=True)
    _soak(plan, journal, begin)
    text = report(plan, journal.results())
    (FOLDER / "report.md").write_text(text)
    print(text)
    return 1 if any(one.findings for one in journal.results()) else 0


def _unfinished(journal: Journal) -> dict[str, Any] | None:
    """Return the plan of a soak that was killed, unless another seed is asked for."""
    known = journal.plan()
    if known is None or len(journal.results()) >= known["phases"]:
        return None
    return known if os.environ.get("SEED") in (None, "", str(known["seed"])) else None


def _new_plan() -> dict[str, Any]:
    asked = os.environ.get("SEED")
    minutes = float(os.environ.get("MINUTES") or _MINUTES)
    phase_seconds = float(os.environ.get("SOAK_PHASE_SECONDS") or _PHASE_SECONDS)
    return {
        "seed": int(asked) if asked else time.time_ns() % 1_000_000,
        "minutes": minutes,
        "phase_seconds": phase_seconds,
        "phases": max(1, round(minutes * 60 / (phase_seconds + _OVERHEAD_SECONDS))),
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _clear() -> None:
    """Nothing of an earlier soak is left."""
    end_leftovers(FOLDER)
    localstack.down(print, purge=True)


def _soak(plan: dict[str, Any], journal: Journal, begin: int) -> None:
    end_leftovers(FOLDER)
    listeners = make_listeners(len(NODES))
    with ExitStack() as exits:
        exits.enter_context(broker_with(FOLDER, listeners))
        localstack.down(print)  # a broker that was left behind has other listeners
        stack = localstack.up(NODES, print)
        exits.callback(localstack.down, print)
        links = {
            node: exits.enter_context(kafka_link_of(listener, plan["seed"]))
            for node, listener in zip(NODES, listeners, strict=True)
        }
        database = exits.enter_context(postgres_link(stack.postgres_dsn, plan["seed"]))
        world = exits.enter_context(running_world(stack, links, database, consumers=True))
        for done in journal.results()[-1:]:
            world.poisoned.update(done.poisoned)
        resources = Resources()
        for phase in range(begin, plan["phases"] + 1):
            print(f"phase {phase}", flush=True)
            result = run_phase(
                world,
                resources,
                phase=phase,
                seed=plan["seed"],
                seconds=plan["phase_seconds"],
                rounds=_rounds(plan, phase),
                folder=FOLDER / "logs",
            )
            journal.add(result)
            print(f"  {result.oracle} {result.findings}", flush=True)


def _rounds(plan: dict[str, Any], phase: int) -> int:
    """Return the phase's share of the rolling rounds: twenty in half an hour or more."""
    rounds = round(_ROLLING_ROUNDS * min(1.0, float(plan["minutes"]) / _MINUTES))
    phases = int(plan["phases"])
    return rounds * phase // phases - rounds * (phase - 1) // phases


if __name__ == "__main__":
    sys.exit(main())
