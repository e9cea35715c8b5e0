"""`make test`: the whole suite in three processes beside each other, each with a stack of its own.

Most tests wait, for a broker or for a process; three at a time keep two cores busy. What the others
say is printed when the first is done, and last of all each test that failed and why: a log is often
cut to its end. Exit code 1 if one of them failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple
from xml.etree import ElementTree

TESTS = Path(__file__).parent
_DEALT = ("integration", "e2e")
_LONG = "long"  # run by `make test-long`
_LINES_OF_A_FAILURE = 12


class Group(NamedTuple):
    """What one process runs."""

    name: str
    paths: Sequence[Path]


def groups() -> list[Group]:
    """About as long as each other; a folder that is new is run with the last."""
    integration, e2e = ([*sorted((TESTS / name).glob("test_*.py"))] for name in _DEALT)
    found = sorted(path for path in TESTS.iterdir() if any(path.rglob("test_*.py")))
    rest = [path for path in found if path.name not in (*_DEALT, "faults", _LONG)]
    return [
        Group("half of integration", integration[::2]),
        Group("faults, half of e2e", [TESTS / "faults", *e2e[::2]]),
        Group(
            f"{', '.join(path.name for path in rest)}, the other halves of e2e and integration",
            [*rest, *e2e[1::2], *integration[1::2]],
        ),
    ]


def main() -> int:
    """Run all; with arguments, pytest with these and nothing else."""
    if sys.argv[1:]:
        command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode
    first, *others = found = groups()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reports = [folder / f"{number}.xml" for number in range(len(found))]
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in others]
        beside = [
            _start(one, report, said)
            for one, report, said in zip(others, reports[1:], files, strict=True)
        ]
        codes = [_start(first, reports[0]).wait(), *(process.wait() for process in beside)]
        for group, said in zip(others, files, strict=True):
            _print_said(group, said)
        for group, report, code in zip(found, reports, codes, strict=True):
            if code:
                print(f"\nFAILED: tests of {group.name} (exit code {code})")
                print(*failures(report), sep="\n", flush=True)
    return int(any(codes))


def _start(group: Group, report: Path, said: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", f"--junit-xml={report}", *map(str, group.paths)]
    return subprocess.Popen(command, stdout=said, stderr=said)


def _print_said(group: Group, said: IO[bytes]) -> None:
    print(f"tests of {group.name}:", flush=True)
    said.seek(0)
    sys.stdout.buffer.write(said.read())
    sys.stdout.flush()


def failures(report: Path) -> list[str]:
    """Each test of pytest's JUnit report that failed, with the last lines of why."""
    if not report.is_file():
        return ["pytest ended without a report"]
    lines = []
    for case in ElementTree.parse(report).iter("testcase"):
        for found in (*case.iter("failure"), *case.iter("error")):
            lines.append(f"{case.get('classname')}::{case.get('name')}")
            why = (found.text or found.get("message") or "").rstrip().splitlines()
            lines += [f"    {line}" for line in why[-_LINES_OF_A_FAILURE:]]
    return lines


if __name__ == "__main__":
    sys.exit(main())
