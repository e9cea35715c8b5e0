"""The folder of the local stack: `.local` in the project, or the one PETITIONLINK_LOCAL names.

- stack.json    addresses, ports, the database password (mode 0600)
- stack.lock    held while a command changes the stack
- keys/         key pairs of the nodes
- logs/         logs of node processes that were started for this stack
- kafka/        libs/ (jars, from `make setup`), data/, server.properties, broker.log, broker.out
- postgres/     data/, postgres.log; elsewhere if its user cannot get here (see account.py)
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from node.runtime.errors import Fatal

_VARIABLE = "PETITIONLINK_LOCAL"
PROJECT = Path(__file__).resolve().parents[2]
# Longer than the slowest `stack up`: a cold one with all 33 nodes on a busy machine.
_LOCK_LIMIT_SECONDS = 180.0
_POLL_SECONDS = 0.1


def local_folder() -> Path:
    """Return the absolute path of the stack's folder, which need not exist."""
    named = os.environ.get(_VARIABLE)
    return Path(named).absolute() if named else PROJECT / ".local"


def make_folder(folder: Path) -> Path:
    """Make a folder of the stack; raises `Fatal` if this user may not write there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_ours(folder, error) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise not_ours(folder, PermissionError("it belongs to another user"))
    return folder


def not_ours(path: Path, error: OSError) -> Fatal:
    """Return the error about a folder or file that this user cannot use."""
    return Fatal(
        f"{path} cannot be used: {error.strerror or error}: work as the user who made it, "
        f"or name another folder in {_VARIABLE}"
    )


def deploy_file(name: str) -> Path:
    """Return the path of a file in the project's `deploy` folder, which only a checkout has."""
    path = PROJECT / "deploy" / name
    if not path.is_file():
        raise Fatal(f"{path} is missing: the local stack needs a checkout of the project's source")
    return path


@contextmanager
def locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the stack's lock, which the kernel releases if we die.

    Waits for another command that changes the stack; raises `Fatal` if that takes too long.
    """
    path = make_folder(folder) / "stack.lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise not_ours(path, error) from None
    with file:
        _acquire(file, path, say)
        yield


def _acquire(file: IO[str], path: Path, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _LOCK_LIMIT_SECONDS
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not told:
                say("another stack command is at work: waiting for it")
                told = True
        if time.monotonic() > deadline:
            raise Fatal(f"another stack command still holds {path}: wait for it, or end it")
        time.sleep(_POLL_SECONDS)
