"""A process is known by its command line, and only then is it ended."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.world import WAIT_SECONDS, eventually

from node.localstack import process

MARK = f"3611.{os.getpid()}"  # an argument that no other process has


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(["sleep", MARK])
    # Just spawned, it has no command line yet.
    eventually(lambda: process.find("sleep", MARK) is not None, "it sleeps")
    yield started
    started.kill()
    started.wait()


def test_a_process_is_found_by_program_and_argument(sleeper: subprocess.Popen[bytes]) -> None:
    assert process.find("sleep", MARK) == sleeper.pid
    assert process.find("sleep", MARK[:-1]) is None
    assert process.find("java", MARK) is None


def test_another_process_under_our_number_is_not_signalled(
    sleeper: subprocess.Popen[bytes],
) -> None:
    assert process.end(sleeper.pid, "java", MARK, signal.SIGKILL, 0.2)
    assert process.end(sleeper.pid, "sleep", "1", signal.SIGKILL, 0.2)
    assert sleeper.poll() is None


def test_our_process_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    assert process.end(sleeper.pid, "sleep", MARK, signal.SIGTERM, WAIT_SECONDS)
    assert process.find("sleep", MARK) is None


def test_one_that_does_not_end_in_time_is_told() -> None:
    stubborn = subprocess.Popen(["sh", "-c", f"trap '' TERM; echo ready; sleep {MARK}"],
                                stdout=subprocess.PIPE)  # fmt: skip
    assert stubborn.stdout is not None
    try:
        stubborn.stdout.readline()
        argument = process.command_line(stubborn.pid)[2]
        assert not process.end(stubborn.pid, "sh", argument, signal.SIGTERM, 0.3)
        assert process.end(stubborn.pid, "sh", argument, signal.SIGKILL, WAIT_SECONDS)
    finally:
        stubborn.stdout.close()
        stubborn.kill()
        stubborn.wait()
        child = process.find("sleep", MARK)
        if child:
            process.end(child, "sleep", MARK, signal.SIGKILL, WAIT_SECONDS)


def test_a_spawned_process_logs_to_its_file_and_is_buried(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pid = process.spawn(["/bin/sh", "-c", "echo out; echo err >&2; sleep 0.1"], log, {})
    eventually(
        lambda: not process.command_line(pid) and log.read_text().endswith("err\n"),
        "it has said its words and is gone",
    )
    assert log.read_text() == "out\nerr\n"
    assert process.end(pid, "sh", "-c", signal.SIGTERM, 1)


def test_a_process_that_never_was_counts_as_ended() -> None:
    assert process.command_line(2**22 + 1) == []
    assert process.end(2**22 + 1, "sh", "-c", signal.SIGTERM, 1)
