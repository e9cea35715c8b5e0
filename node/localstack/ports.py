"""Free ports of this machine, chosen once and then kept in the stack's file."""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import socket
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from node.runtime.errors import Fatal

HOST = "127.0.0.1"
# Below the kernel's range for outgoing connections (32768 and up), which would take them away
# between two starts, and above what well-known services use.
_FIRST, _LAST = 20_000, 32_000


def free_port(taken: Collection[int] = ()) -> int:
    """A port on which nobody listens and that is not in `taken`.

    The stacks of a user take turns through one file: what one was given, and does not listen on
    yet, comes to another only after all the rest. `Fatal` if no port is free.
    """
    with _turn() as file:
        start = _last_given(file) + 1
        for port in itertools.chain(range(start, _LAST), range(_FIRST, start)):
            if port not in taken and is_free(port):
                _note(file, port)
                return port
    raise Fatal(f"no free port between {_FIRST} and {_LAST} on {HOST}: end what holds them")


def turn_file() -> Path:
    """Where the port that was given last is noted, for all stacks of this user."""
    return Path(tempfile.gettempdir()) / f"petitionlink-ports-{os.getuid()}"


@contextmanager
def _turn() -> Iterator[IO[str] | None]:
    """The file, held; None where it cannot be had: then a random place is as good as can be."""
    try:
        # Where everybody may write, a link could lead to any file of this user.
        number = os.open(turn_file(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield None
        return
    with os.fdopen(number, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _last_given(file: IO[str] | None) -> int:
    if file:
        with suppress(ValueError):
            if _FIRST <= (port := int(file.read(16))) < _LAST:
                return port
    return random.randrange(_FIRST, _LAST)


def _note(file: IO[str] | None, port: int) -> None:
    if file:
        file.seek(0)
        file.truncate()
        file.write(str(port))


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # As the servers do: connections of a stopped one that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def listens(host: str, port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether somebody accepts a connection there."""
    try:
        socket.create_connection((host, port), timeout=timeout_seconds).close()
    except OSError:
        return False
    return True
