"""`make test`: the whole suite in three processes beside each other, each with a stack of its own.

Most tests wait, for a broker or for a process; three at a time keep two cores busy. What the others
say is printed when the first is done. Exit code 1 if one of them failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

TESTS = Path(__file__).parent
_LONGEST = "integration"
_LONG = ("e2e", "faults")


class Group(NamedTuple):
    """What one process runs."""

    name: str
    paths: Sequence[Path]


def groups() -> list[Group]:
    """The longest folder is dealt out to two; one that is new is run with the last."""
    modules = sorted((TESTS / _LONGEST).glob("test_*.py"))
    found = sorted(path for path in TESTS.iterdir() if any(path.rglob("test_*.py")))
    rest = [path for path in found if path.name not in (_LONGEST, *_LONG)]
    return [
        Group(f"{_LONGEST}, first half", modules[::2]),
        Group(", ".join(_LONG), [TESTS / name for name in _LONG]),
        Group(
            f"{', '.join(path.name for path in rest)}; {_LONGEST}, second half",
            [*rest, *modules[1::2]],
        ),
    ]


def main() -> int:
    """Run all; with arguments, pytest with these and nothing else."""
    if sys.argv[1:]:
        command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode
    first, *others = groups()
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in others]
        beside = [_start(one, said) for one, said in zip(others, files, strict=True)]
        codes = [_start(first).wait(), *(process.wait() for process in beside)]
        for group, said in zip(others, files, strict=True):
            said.seek(0)
            print(f"tests of {group.name}:", flush=True)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
    return int(any(codes))


def _start(group: Group, said: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", *map(str, group.paths)]
    return subprocess.Popen(command, stdout=said, stderr=said)


if __name__ == "__main__":
    sys.exit(main())
