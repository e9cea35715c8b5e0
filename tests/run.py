"""`make test`: the whole suite in three processes beside each other, each with a stack of its own.

Most tests wait, for a broker or for a process; three at a time keep two cores busy. What the others
say is printed when the longest is done. Exit code 1 if one of them failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

TESTS = Path(__file__).parent
# The longest first; a folder that is new is run with the last.
GROUPS = (("integration",), ("e2e", "faults"))


def main() -> int:
    """Run all; with arguments, pytest with these and nothing else."""
    if sys.argv[1:]:
        command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode
    first, *others = (*GROUPS, _rest())
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in others]
        beside = [_start(one, said) for one, said in zip(others, files, strict=True)]
        codes = [_start(first).wait(), *(process.wait() for process in beside)]
        for folders, said in zip(others, files, strict=True):
            said.seek(0)
            print(f"tests of {', '.join(folders)}:", flush=True)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
    return int(any(codes))


def _rest() -> tuple[str, ...]:
    known = {name for group in GROUPS for name in group}
    found = (path.name for path in TESTS.iterdir() if any(path.rglob("test_*.py")))
    return tuple(sorted(name for name in found if name not in known))


def _start(folders: Sequence[str], said: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", *(str(TESTS / one) for one in folders)]
    return subprocess.Popen(command, stdout=said, stderr=said)


if __name__ == "__main__":
    sys.exit(main())
