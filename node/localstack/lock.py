"""One command at a time changes the stack: a lock file, released by the kernel if we die."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from node.localstack.folder import make_folder, not_ours
from node.runtime.errors import Fatal

# Longer than the slowest `stack up`: a cold one with all 33 nodes on a busy machine.
_WAIT_LIMIT_SECONDS = 180.0
_POLL_SECONDS = 0.1


@contextmanager
def locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the stack's lock; waits for another command, `Fatal` if that takes too long."""
    path = make_folder(folder) / "stack.lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise not_ours(path, error) from None
    with file:
        _acquire(file, path, say)
        yield


def _acquire(file: IO[str], path: Path, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _WAIT_LIMIT_SECONDS
    told = False
    while not _try_lock(file):
        if not told:
            say("another stack command is at work: waiting for it")
            told = True
        if time.monotonic() > deadline:
            raise Fatal(f"another stack command still holds {path}: wait for it, or end it")
        time.sleep(_POLL_SECONDS)


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
