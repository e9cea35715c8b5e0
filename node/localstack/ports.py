"""Free ports of this machine, chosen once and then kept in the stack's file."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Collection

from node.errors import Fatal

HOST = "127.0.0.1"
# Below the kernel's range for outgoing connections (32768 and up), which would take them away
# between two starts, and above what well-known services use.
_FIRST, _LAST = 20_000, 32_000


def free_port(taken: Collection[int] = ()) -> int:
    """A port on which nobody listens and that is not in `taken`.

    Starts at a random place, so that two stacks that come up at once rarely want the same.
    """
    start = random.randrange(_FIRST, _LAST)
    for port in itertools.chain(range(start, _LAST), range(_FIRST, start)):
        if port not in taken and is_free(port):
            return port
    raise Fatal(f"no free port between {_FIRST} and {_LAST} on {HOST}: end what holds them")


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
