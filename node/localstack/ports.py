"""Ports of this machine: free ones, and whether a server answers on one."""

import fcntl
import itertools
import os
import random
import socket
import struct
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from node.runtime.errors import Fatal

HOST = "127.0.0.1"
# Above the ports of well-known services, and below the kernel's range for outgoing connections
# (32768 and up), which could take a port between two starts.
_FIRST, _LAST = 20_000, 32_000
# Kafka's ApiVersions request, version 0, correlation id 1, no client id.
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
_HEAD_BYTES = 10  # size, correlation id, error code
_ANSWER_SECONDS = 2.0


def free_port(taken: Collection[int] = ()) -> int:
    """Return a port on which nobody listens and that is not in `taken`.

    The stacks of a user share one file, so that a port that was just given to one of them, which
    does not listen there yet, is given again only after all others. Raises `Fatal` if none is free.
    """
    with _locked_file() as file:
        start = _read_last(file) + 1
        for port in itertools.chain(range(start, _LAST), range(_FIRST, start)):
            if port not in taken and is_free(port):
                _write_last(file, port)
                return port
    raise Fatal(f"no free port between {_FIRST} and {_LAST} on {HOST}: end what holds them")


def turn_file() -> Path:
    """Return the file with the port that was given last, shared by all stacks of this user."""
    return Path(tempfile.gettempdir()) / f"petitionlink-ports-{os.getuid()}"


@contextmanager
def _locked_file() -> Iterator[IO[str] | None]:
    """Yield the locked file, or None if it cannot be opened: then ports begin at random."""
    try:
        # In a folder that everybody may write, a link could lead to any file of this user.
        number = os.open(turn_file(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield None
        return
    with os.fdopen(number, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _read_last(file: IO[str] | None) -> int:
    if file:
        with suppress(ValueError):
            if _FIRST <= (port := int(file.read(16))) < _LAST:
                return port
    return random.randrange(_FIRST, _LAST)


def _write_last(file: IO[str] | None, port: int) -> None:
    if file:
        file.seek(0)
        file.truncate()
        file.write(str(port))


def is_free(port: int) -> bool:
    """Return whether a server could listen there now."""
    with socket.socket() as probe:
        # As the servers do: lingering connections of a stopped server do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def listens(host: str, port: int) -> bool:
    """Return whether somebody accepts a connection there."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def kafka_answers(host: str, port: int) -> bool:
    """Return whether a Kafka broker there answers without an error.

    The client library tries for seconds and cannot tell "away" from "still starting".
    """
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_SECONDS) as link:
            link.sendall(_API_VERSIONS)
            with link.makefile("rb") as stream:
                head = stream.read(_HEAD_BYTES)
    except OSError:
        return False
    return head[4:] == struct.pack(">ih", 1, 0)


def any_kafka_answers(bootstrap_servers: str) -> bool:
    """Return whether one of `host:port,host:port,…` answers."""
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if port.isdigit() and kafka_answers(host, int(port)):
            return True
    return False
