"""The report of a soak in Markdown: what was done, what was found, how to do it again."""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from soak.faults import KINDS, ROLLING
from soak.phases import Result

_ORACLE = {
    "quiet": "all is delivered once the faults have ended",
    "a": "every emitter's sequence of every case is 1…n at every node",
    "b": "what was owed is applied, what was poison is dead-lettered, no more and no less",
    "c": "centre and provinces hold the same events and cases",
    "d": "memory, threads and file descriptors are where they were",
}


def report(plan: dict[str, Any], results: Sequence[Result]) -> str:
    """Return the whole text."""
    findings = [f"phase {one.phase}: {text}" for one in results for text in one.findings]
    seconds = sum(one.seconds for one in results)
    verdict = "nothing was found" if not findings else f"{len(findings)} findings"
    return "\n".join(
        [
            "# Soak: randomised faults under load",
            "",
            f"Seed {plan['seed']}, {len(results)} of {plan['phases']} phases, "
            f"{seconds / 60:.0f} minutes, begun {plan['begun']}: **{verdict}**. "
            f"Again: `make soak SEED={plan['seed']} MINUTES={plan['minutes']}`.",
            "",
            f"Machine: {_machine()}.",
            "",
            *_faults(results),
            *_events(results),
            *_verdicts(results),
            "## Findings",
            "",
            *([f"- {one}" for one in findings] or ["None."]),
            "",
        ]
    )


def _machine() -> str:
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    return (
        f"{os.cpu_count()} cores, {kilobytes / 1024 / 1024:.0f} GiB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}"
    )


def _faults(results: Sequence[Result]) -> list[str]:
    done: Counter[str] = Counter()
    for one in results:
        done.update(one.faults)
    rows = [(kind.name, kind.rows, done[kind.name]) for kind in (*KINDS, ROLLING)]
    return ["## Faults", "", *_table(("fault", "rows of docs/faults.md", "times"), rows), ""]


def _events(results: Sequence[Result]) -> list[str]:
    if not results:
        return []
    last = results[-1]
    commands: Counter[str] = Counter()
    for one in results:
        commands.update(one.commands)
    rows = [(node, number, last.poisoned.get(node, 0)) for node, number in last.events.items()]
    told = ", ".join(f"{name} {number}" for name, number in commands.most_common())
    imported = sum(one.imported_rows for one in results)
    return [
        "## Events",
        "",
        *_table(("node", "events in the ledger", "dead letters, all of them ours"), rows),
        "",
        f"Commands: {told}; rows imported: {imported}.",
        "",
    ]


def _verdicts(results: Sequence[Result]) -> list[str]:
    rows = [
        (text, sum(one.oracle[letter] == "holds" for one in results), len(results))
        for letter, text in _ORACLE.items()
    ]
    slowest = max((one.quiet_after_seconds for one in results), default=0.0)
    return [
        "## Oracle, after each phase",
        "",
        *_table(("what must hold", "held", "of phases"), rows),
        "",
        f"Longest way from the last fault to quiet: {slowest:.0f} s.",
        "",
    ]


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
    ]
