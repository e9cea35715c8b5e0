"""Take out each protection in a copy of the tree and see the named tests fail.

    python -m protections            docs/protections.md
    python -m protections check      all of them; `check WORD` those whose name has the word

Exit code 1 if a broken build is not caught, or a test fails though nothing was taken out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fault_list import FAULTS
from protection_list import PROTECTIONS, Protection

ROOT = Path(__file__).parents[1]
# A stack that starts on a busy machine, and a test that waits in vain.
_LIMIT_SECONDS = 600
_FAILED = 1  # pytest's exit code: tests were run and some failed
_HEAD = """# Protections

What holds the promises against faults, and the tests that fail without it. `make protections`
takes each out in a copy of the tree and runs its tests there; this page is
`PYTHONPATH=tests python -m protections`. Rows are those of the second table.

| protection | rows | stands in | taken out by | tests that fail then |
|---|---|---|---|---|
"""
_FAULTS = """
## Faults

Each is a test on real Kafka and Postgres; `make soak` draws them at random for as long as asked.

| row | fault | tests |
|---|---|---|
"""


class Caught(NamedTuple):
    """What became of a test in a broken build."""

    protection: str
    test: str
    verdict: str

    @property
    def is_good(self) -> bool:
        """Whether the broken build was caught."""
        return self.verdict == "fails"


def broken(protection: Protection, text: str) -> str:
    """The file's text without the protection; `ValueError` if it is not there exactly once."""
    found = text.count(protection.replaced)
    if found != 1:
        raise ValueError(f"{protection.name}: stands {found} times in {protection.file}")
    return text.replace(protection.replaced, protection.by)


def page() -> str:
    """docs/protections.md."""
    protections = "".join(f"{_row(one)}\n" for one in PROTECTIONS)
    faults = "".join(f"| {one.number} | {one.name} | {_tests(one.tests)} |\n" for one in FAULTS)
    return _HEAD + protections + _FAULTS + faults


def _row(one: Protection) -> str:
    how = f"{_code(one.replaced)} → {_code(one.by) if one.by.strip() else 'nothing'}"
    return f"| {one.name} | {one.rows} | `{one.file}` | {how} | {_tests(one.tests)} |"


def _tests(tests: Sequence[str]) -> str:
    return "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests)


def _code(text: str) -> str:
    shown = " ".join(text.split()).replace("|", "\\|")
    return f"`{shown}`"


def check(chosen: Sequence[Protection]) -> int:
    """Run them all; the exit code."""
    tests = sorted({test for one in chosen for test in one.tests})
    with copied() as tree:
        print(f"nothing taken out: {len(tests)} tests", flush=True)
        whole = _run(tree, tests)
        if whole.returncode != 0:
            print(whole.stdout.decode()[-3000:])
            return 1
        results = [found for one in chosen for found in _without(tree, one)]
    bad = [one for one in results if not one.is_good]
    print(f"{len(results) - len(bad)} of {len(results)} caught")
    return 1 if bad else 0


def _without(tree: Path, protection: Protection) -> Iterator[Caught]:
    file = tree / protection.file
    text = file.read_text(encoding="utf-8")
    file.write_text(broken(protection, text), encoding="utf-8")
    try:
        for test in protection.tests:
            found = Caught(protection.name, test, _verdict(tree, test))
            print(f"{found.verdict:>8}  {found.protection}: {found.test}", flush=True)
            yield found
    finally:
        file.write_text(text, encoding="utf-8")


def _verdict(tree: Path, test: str) -> str:
    try:
        done = _run(tree, [test])
    except subprocess.TimeoutExpired:
        return "fails"  # it waits for ever for what the protection would have given
    return {0: "passes", _FAILED: "fails"}.get(done.returncode, f"code {done.returncode}")


def _run(tree: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_LIMIT_SECONDS,
        check=False,
    )


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of what git knows of the tree as it stands, with the jars of the original."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tempfile.TemporaryDirectory(prefix="petitionlink-protections-") as folder:
        tree = Path(folder)
        for name in filter(None, names.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name)
        (tree / ".local" / "kafka").mkdir(parents=True)
        (tree / ".local" / "kafka" / "libs").symlink_to(ROOT / ".local" / "kafka" / "libs")
        yield tree


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    if not arguments:
        print(page(), end="")
        return 0
    words = arguments[1:]
    chosen = [one for one in PROTECTIONS if not words or any(word in one.name for word in words)]
    return check(chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
