"""Import: `petitionlink import` of a register, the whole command from start to exit."""

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import Figure, Goal
from benchmarks.home import empty
from benchmarks.plan import Plan
from benchmarks.registers import write_register
from node.localstack import LocalStack
from node.runtime.errors import PetitionLinkError

ROWS = 20_000
_NODE = "370000"
_SEEDS = {False: 1, True: 2}


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Rows and events per second, with and without a reply in the row."""
    figures = []
    for reply in (False, True):
        file = stack.folder / f"register-{'reply' if reply else 'plain'}.csv"
        write_register(file, ROWS, reply=reply, seed=_SEEDS[reply])
        runs = [_run(stack, file) for _ in plan.runs()]
        figures += _figures(reply, runs)
        file.unlink()
    return figures


def _figures(reply: bool, runs: list[tuple[float, int]]) -> list[Figure]:
    kind = "with a reply, 4 events a row" if reply else "without a reply, 1 event a row"
    rows = [ROWS / seconds for seconds, _ in runs]
    events = [number / seconds for seconds, number in runs]
    about = f"{ROWS:,} rows, 1 sealed petitioner each; from the command's start to its exit"
    goal = None if reply else Goal(5_000, of_ratio=False)
    made = [Figure(f"import, {kind}", "rows/s", rows, about, goal=goal)]
    if reply:
        made.append(Figure("import, with a reply: events", "events/s", events, "the same runs"))
    return made


def _run(stack: LocalStack, file: Path) -> tuple[float, int]:
    """Seconds and events of one import into an empty database."""
    empty(stack, [_NODE])
    command = [sys.executable, "-m", "node.entrypoints.cli", "import", str(file), "--node", _NODE]
    began = time.perf_counter()
    done = subprocess.run([*command, "--format", "json"], capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise PetitionLinkError(f"the import failed: {done.stderr.decode().strip()[-500:]}")
    totals = json.loads(done.stdout)
    if totals["registered"] != ROWS:
        raise PetitionLinkError(f"the import registered {totals['registered']} of {ROWS} rows")
    return seconds, totals["events"]
