"""`make test`: the whole suite in two processes beside each other, each with a stack of its own.

Most tests wait, for a broker or for a process; two at a time keep two cores busy. What the second
process says is printed when the first is done. Exit code 1 if either failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
# Of about the same length; a folder that is new is run with the second.
FIRST = ("e2e", "faults")


def main() -> int:
    """Run both; with arguments, pytest with these and nothing else."""
    if sys.argv[1:]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", *sys.argv[1:]], check=False
        ).returncode
    rest = sorted(
        path.name
        for path in TESTS.iterdir()
        if path.name not in FIRST and any(path.rglob("test_*.py"))
    )
    with tempfile.TemporaryFile() as said:
        beside = _start(FIRST, said)
        codes = [_start(rest).wait(), beside.wait()]
        said.seek(0)
        print(f"tests of {', '.join(FIRST)}:", flush=True)
        sys.stdout.buffer.write(said.read())
    return int(any(codes))


def _start(folders: tuple[str, ...] | list[str], said: object = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", *(str(TESTS / one) for one in folders)]
    return subprocess.Popen(command, stdout=said, stderr=said)  # type: ignore[call-overload, no-any-return]


if __name__ == "__main__":
    sys.exit(main())
