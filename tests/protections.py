"""Take each protection out of a copy of the tree and see the named tests fail.

    python -m protections            print docs/protections.md
    python -m protections check      check all of them; `check WORD` those whose name has the word;
                                     `--jobs 4` checks four at a time, each in a copy of its own

Each test runs twice in the same copy: with the protection, where it must pass, and without it,
where it must fail. The tests of a copy share one stack that stays up between the runs; a copy gets
a new stack if a run had to be ended, or if the test does not pass with the protection. Exit code 1
if a test does not fail without its protection, or fails with it.
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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from fault_list import FAULTS
from protection_list import PROTECTIONS, Protection

ROOT = Path(__file__).parents[1]
# Time for one run: a stack that starts on a busy machine, and a test that waits in vain.
_LIMIT_SECONDS = 600
_GOODBYE_SECONDS = 60
# Without its protection a test waits for a state that does not come. It waits for twice as long as
# the whole test took with the protection, just before on the same machine, but within these bounds.
_LEAST_WAIT_SECONDS, _MOST_WAIT_SECONDS = 10.0, 60.0
_ATTEMPTS = 2
# Most tests wait, for a broker or for a process; four at a time keep two cores busy.
_JOBS = 4
_FAILED = 1  # pytest's exit code: tests were run and some failed
# Tests without a stack cannot spoil one for the next run: they are run once for all of them.
_WITHOUT_STACK = ("tests/unit/", "tests/contract/")
# The code in these folders makes the stack, so its tests start a stack of their own.
_MAKES_STACK = ("node/localstack/", "node/postgres/migrations/", "node/kafka/topics/")
_HEAD = """# Protections

Each protection is a text in the product that keeps a promise under a fault, and the tests that
fail without it. `make protections` runs these tests in a copy of the tree, with the text, where
they must pass, and without it, where they must fail; this page is the output of
`PYTHONPATH=tests python -m protections`. Rows are those of [faults.md](faults.md).

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


class Verdict(NamedTuple):
    """The result of one test in the tree without the protection."""

    protection: str
    test: str
    result: str

    @property
    def is_caught(self) -> bool:
        """True if the test failed without the protection."""
        return self.result == "fails"


def broken(protection: Protection, text: str) -> str:
    """Return the file's text without the protection.

    Raises `ValueError` if the protection is not in `text` exactly once.
    """
    count = text.count(protection.replaced)
    if count != 1:
        raise ValueError(f"{protection.name}: {protection.file} has its text {count} times")
    return text.replace(protection.replaced, protection.by)


def page() -> str:
    """Return docs/protections.md."""
    protections = "".join(f"{_row(protection)}\n" for protection in PROTECTIONS)
    faults = "".join(f"| {f.number} | {f.name} | {_tests(f.tests)} |\n" for f in FAULTS)
    return _HEAD + protections + _FAULTS + faults


def _row(protection: Protection) -> str:
    name, rows, file, replaced, by, tests = protection
    change = f"{_code(replaced)} → {_code(by) if by.strip() else 'nothing'}"
    return f"| {name} | {rows} | `{file}` | {change} | {_tests(tests)} |"


def _tests(tests: Sequence[str]) -> str:
    return "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests)


def _code(text: str) -> str:
    shown = " ".join(text.split()).replace("|", "\\|")
    return f"`{shown}`"


def check(chosen: Sequence[Protection], jobs: int = _JOBS) -> int:
    """Check these protections, `jobs` at a time; return the exit code."""
    began = time.monotonic()
    with ExitStack() as stack:
        trees: Queue[Tree] = Queue()
        for _ in range(min(jobs, len(chosen))):
            trees.put(stack.enter_context(copied()))
        if not _passes_without_stack(trees, chosen):
            return 1
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        work = [pool.submit(_verdicts, trees, protection) for protection in chosen]
        verdicts = [verdict for done in work for verdict in done.result()]
    bad = [verdict for verdict in verdicts if not verdict.is_caught]
    for protection, test, result in bad:
        print(f"NOT CAUGHT ({result})  {protection}: {test}")
    minutes = (time.monotonic() - began) / 60
    caught = len(verdicts) - len(bad)
    print(f"{caught} of {len(verdicts)} caught in {minutes:.1f} min, {jobs} at once")
    return 1 if bad else 0


def _passes_without_stack(trees: Queue[Tree], chosen: Sequence[Protection]) -> bool:
    tests = sorted({test for protection in chosen for test in protection.tests})
    tests = [test for test in tests if test.startswith(_WITHOUT_STACK)]
    with _taken(trees) as tree:
        return not tests or tree.passes(tests)


def _verdicts(trees: Queue[Tree], protection: Protection) -> list[Verdict]:
    """Run the tests of the protection with it and without it, in a tree that is free."""
    verdicts = []
    with _taken(trees) as tree:
        for test in protection.tests:
            began = time.monotonic()
            verdict = Verdict(protection.name, test, _result(tree, protection, test))
            seconds = f"{time.monotonic() - began:4.0f} s"
            print(f"{verdict.result:>8} {seconds}  {protection.name}: {test}", flush=True)
            verdicts.append(verdict)
    return verdicts


def _result(tree: Tree, protection: Protection, test: str) -> str:
    has_stack = not test.startswith(_WITHOUT_STACK)
    keeps_stack = has_stack and not protection.file.startswith(_MAKES_STACK)
    began = time.monotonic()
    if has_stack and not tree.passes([test], keeps_stack):
        return "fails with the protection"
    took = time.monotonic() - began
    wait = min(max(_LEAST_WAIT_SECONDS, 2 * took), _MOST_WAIT_SECONDS)
    with tree.without(protection):
        for _ in range(_ATTEMPTS):
            code, _output = tree.run([test], keeps_stack, wait)
            # None: it waits for ever for what the protection would have given.
            if code in (_FAILED, None):
                return "fails"
    return "passes" if code == 0 else f"code {code}"


@contextmanager
def _taken(trees: Queue[Tree]) -> Iterator[Tree]:
    """Give a tree that nobody else uses meanwhile."""
    tree = trees.get()
    try:
        yield tree
    finally:
        trees.put(tree)


class Tree:
    """A copy of the project in which tests run; `folder` is its root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept_stack = folder / ".local" / "kept"

    @contextmanager
    def without(self, protection: Protection) -> Iterator[None]:
        """Take the protection out of its file for the time of the block."""
        file = self._folder / protection.file
        text = file.read_text(encoding="utf-8")
        file.write_text(broken(protection, text), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(text, encoding="utf-8")

    def passes(self, tests: Sequence[str], keeps_stack: bool = False) -> bool:
        """Return True if all tests pass; the second attempt is made on a new stack."""
        for _ in range(_ATTEMPTS):
            code, output = self.run(tests, keeps_stack, _MOST_WAIT_SECONDS)
            if code == 0:
                return True
            print(f"{' '.join(tests)}: {output[-3000:]}", flush=True)
            self._take_down(self._kept_stack)
        return False

    def run(
        self, tests: Sequence[str], keeps_stack: bool, wait_seconds: float
    ) -> tuple[int | None, str]:
        """Run pytest; return its exit code, None if it had to be ended, and its output.

        The tests wait for each state for `wait_seconds`.
        """
        environment = {**os.environ, "PYTHONPATH": str(self._folder)}
        environment.setdefault("TEST_WAIT_SECONDS", f"{wait_seconds:.0f}")
        if keeps_stack:
            environment["TEST_STACK"] = str(self._kept_stack)
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-x", "-q", *tests],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            code = _ended(process, _LIMIT_SECONDS)
            output.seek(0)
            if code is None:
                self.take_down()
            return code, output.read().decode(errors="replace")

    def take_down(self) -> None:
        """End the servers of the kept stack and of sessions that were killed."""
        self._take_down(self._kept_stack)
        for session in (self._folder / ".local" / "tests").glob("*.session"):
            self._take_down(session.with_suffix(""))

    def _take_down(self, stack: Path) -> None:
        if stack.exists():
            subprocess.run(
                [sys.executable, "-m", "node.entrypoints.cli", "stack", "down", "--purge"],
                cwd=self._folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(self._folder),
                    "PETITIONLINK_LOCAL": str(stack),
                },
                check=False,
            )
            shutil.rmtree(stack)


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
def copied() -> Iterator[Tree]:
    """Copy what git knows of the tree as it is now, with a link to the original's jars."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tempfile.TemporaryDirectory(prefix="petitionlink-protections-") as folder:
        root = Path(folder)
        for name in filter(None, names.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        (root / ".local" / "kafka").mkdir(parents=True)
        (root / ".local" / "kafka" / "libs").symlink_to(ROOT / ".local" / "kafka" / "libs")
        tree = Tree(root)
        try:
            yield tree
        finally:
            tree.take_down()


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    if not arguments:
        print(page(), end="")
        return 0
    parser = argparse.ArgumentParser(prog="protections")
    parser.add_argument("command", choices=["check"])
    parser.add_argument("words", nargs="*", help="words in the names of those to check")
    parser.add_argument("--jobs", type=int, default=_JOBS, help="how many at a time")
    given = parser.parse_args(arguments)
    words = given.words
    chosen = [p for p in PROTECTIONS if not words or any(word in p.name for word in words)]
    if not chosen:
        print(f"no protection has {' or '.join(words)} in its name")
        return 1
    return check(chosen, max(1, given.jobs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
