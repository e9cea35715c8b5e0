"""Take out each protection in a copy of the tree and see the named tests fail.

    python -m protections            docs/protections.md
    python -m protections check      all of them; `check WORD` those whose name has the word;
                                     `--jobs 3` of them at a time, each in a copy of its own

Most tests wait, for a broker or for a process; three at a time keep two cores busy. Exit code 1 if
a broken build is not caught, or a test fails though nothing was taken out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from queue import Queue
from typing import NamedTuple, TypeVar

from fault_list import FAULTS
from protection_list import PROTECTIONS, Protection

ROOT = Path(__file__).parents[1]
# A stack that starts on a busy machine, and a test that waits in vain; of several tests, each.
_LIMIT_SECONDS = 600
_SECONDS_OF_FURTHER_TEST = 30
_GOODBYE_SECONDS = 60
# Without its protection a test waits for a state that does not come.
_WAIT_SECONDS = "60"
_ATTEMPTS = 2
_JOBS = 3
_FAILED = 1  # pytest's exit code: tests were run and some failed
_HEAD = """# Protections

Each protection is a text in the product that keeps a promise under a fault, and the tests that
fail without it. `make protections` takes each out in a copy of the tree and runs its tests there;
this page is the output of `PYTHONPATH=tests python -m protections`. Rows are those of
[faults.md](faults.md).

| protection | rows | stands in | taken out by | tests that fail then |
|---|---|---|---|---|
"""
_FAULTS = """
## Faults

The tests of each row of [faults.md](faults.md), on real Kafka and Postgres; `make soak` draws
faults at random for as long as asked.

| row | fault | tests |
|---|---|---|
"""

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


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


def check(chosen: Sequence[Protection], jobs: int = _JOBS) -> int:
    """Run them all, so many at a time, each in one of as many copies; the exit code."""
    began = time.monotonic()
    with ExitStack() as stack:
        trees: Queue[Path] = Queue()
        for _ in range(min(jobs, len(chosen))):
            trees.put(stack.enter_context(copied()))
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        if not _is_sound(pool, trees, sorted({test for one in chosen for test in one.tests})):
            return 1
        work = [pool.submit(_in_a_tree, trees, _without, one) for one in chosen]
        results = [found for done in work for found in done.result()]
    bad = [one for one in results if not one.is_good]
    for one in bad:
        print(f"NOT CAUGHT ({one.verdict})  {one.protection}: {one.test}")
    minutes = (time.monotonic() - began) / 60
    print(
        f"{len(results) - len(bad)} of {len(results)} caught in {minutes:.1f} min, {jobs} at once"
    )
    return 1 if bad else 0


def _is_sound(pool: ThreadPoolExecutor, trees: Queue[Path], tests: Sequence[str]) -> bool:
    """Whether all tests pass while nothing is taken out; files of tests are dealt to the copies."""
    print(f"nothing taken out: {len(tests)} tests", flush=True)
    files = [[*group] for _, group in groupby(tests, lambda test: test.partition("::")[0])]
    number = trees.qsize()
    hands = [[test for file in files[n::number] for test in file] for n in range(number)]
    work = [pool.submit(_in_a_tree, trees, _passes, hand) for hand in hands if hand]
    return all(done.result() for done in work)


def _in_a_tree(trees: Queue[Path], do: Callable[[Path, _Given], _Found], given: _Given) -> _Found:
    """Do it in a copy that nobody else uses meanwhile."""
    tree = trees.get()
    try:
        return do(tree, given)
    finally:
        trees.put(tree)


def _passes(tree: Path, tests: Sequence[str]) -> bool:
    """Whether these tests pass, at once or, on a busy machine, the second time."""
    for attempt in range(_ATTEMPTS):
        code, said = _run(tree, tests)
        if code == 0:
            return True
        print(f"attempt {attempt + 1}: {said[-3000:]}", flush=True)
    return False


def _without(tree: Path, protection: Protection) -> list[Caught]:
    """What becomes of the protection's tests in this tree without it."""
    file = tree / protection.file
    text = file.read_text(encoding="utf-8")
    file.write_text(broken(protection, text), encoding="utf-8")
    results = []
    try:
        for test in protection.tests:
            found = Caught(protection.name, test, _verdict(tree, test))
            print(f"{found.verdict:>8}  {found.protection}: {found.test}", flush=True)
            results.append(found)
    finally:
        file.write_text(text, encoding="utf-8")
    return results


def _verdict(tree: Path, test: str) -> str:
    """What the test says of the broken build; a second run decides if it was not caught."""
    for _ in range(_ATTEMPTS):
        code, _said = _run(tree, [test])
        # None: it waits for ever for what the protection would have given.
        if code in (_FAILED, None):
            return "fails"
    return "passes" if code == 0 else f"code {code}"


def _run(tree: Path, tests: Sequence[str]) -> tuple[int | None, str]:
    """Exit code and words of pytest; no code if it had to be ended after the limit."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-x", "-q", *tests],
            cwd=tree,
            env={"TEST_WAIT_SECONDS": _WAIT_SECONDS, **os.environ, "PYTHONPATH": str(tree)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        code = _ended(process, _LIMIT_SECONDS + _SECONDS_OF_FURTHER_TEST * len(tests))
        said.seek(0)
        return code, said.read().decode(errors="replace")


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # so that it takes its servers down
    try:
        process.wait(_GOODBYE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return None


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
        try:
            yield tree
        finally:
            _take_down(tree)


def _take_down(tree: Path) -> None:
    """The servers of sessions that were killed end before their files are removed."""
    for session in (tree / ".local" / "tests").glob("*.session"):
        folder = session.with_suffix("")
        subprocess.run(
            [sys.executable, "-m", "node.entrypoints.cli", "stack", "down", "--purge"],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "PETITIONLINK_LOCAL": str(folder)},
            check=False,
        )


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    if not arguments:
        print(page(), end="")
        return 0
    parser = argparse.ArgumentParser(prog="protections")
    parser.add_argument("command", choices=["check"])
    parser.add_argument("words", nargs="*", help="words in the names of those to check")
    parser.add_argument("--jobs", type=int, default=_JOBS, help="how many at a time")
    given = parser.parse_args(arguments)
    words = given.words
    chosen = [one for one in PROTECTIONS if not words or any(word in one.name for word in words)]
    if not chosen:
        print(f"no protection has {' or '.join(words)} in its name")
        return 1
    return check(chosen, max(1, given.jobs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
