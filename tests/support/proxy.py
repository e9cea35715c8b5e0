"""A TCP proxy on loopback that is steered while it runs: the link that a test breaks on purpose.

    with Proxy(("127.0.0.1", 9092)) as link:
        link.conditions = Conditions(delay_seconds=0.5, jitter_seconds=0.1)
        link.reset()

Two threads for each connection, one per direction. What the bytes mean is nobody's business here,
but a `watch` may look at what the client sends and have the connection cut at that very point.
"""

import random
import socket
import threading
from collections import deque
from typing import Self

from support.pumping import Conditions, Connection, Verdict, Watch, reset_on_close

from node.localstack.ports import free_port

__all__ = ["HOST", "Address", "Conditions", "Proxy", "Verdict", "Watch"]

HOST = "127.0.0.1"
_CONNECT_SECONDS = 5.0

Address = tuple[str, int]


def _pass(_: bytes) -> Verdict:
    return Verdict.PASS


class Proxy:
    """Listens on `port` and connects to `target`; everything passes until it is told otherwise."""

    def __init__(self, target: Address, port: int | None = None, seed: int = 0) -> None:
        self._target = target
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._cuts: deque[int] = deque()
        self.chance = random.Random(seed)
        self.conditions = Conditions()
        self.watch: Watch = _pass
        # None of the kernel's own: while it is down, a client could connect to itself there.
        self.port = port or free_port()
        self.accepted = 0

    @property
    def address(self) -> str:
        """Return the place where clients connect, host:port."""
        return f"{HOST}:{self.port}"

    @property
    def open_connections(self) -> int:
        """Count the connections that pass through now."""
        with self._lock:
            return len(self._connections)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Take connections, again on the same port; as it was made."""
        if self._listener is not None:
            return
        self._listener = socket.create_server((HOST, self.port), backlog=128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse new connections and close those that are open."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
            listener.close()
        self._end_all(reset=False)

    def reset(self) -> None:
        """End every open connection with RST at both ends; new ones are taken."""
        self._end_all(reset=True)

    def cut_responses(self, *after_bytes: int) -> None:
        """Reset the connection after each of these numbers of further response bytes."""
        with self._lock:
            self._cuts.extend(after_bytes)

    @property
    def cuts_left(self) -> int:
        """Count the responses that are still to be cut."""
        return len(self._cuts)

    def allowed(self, number: int) -> int | None:
        """Return how many of `number` bytes of a response may pass before its cut; None: all, no
        cut."""
        with self._lock:
            if not self._cuts:
                return None
            if self._cuts[0] > number:
                self._cuts[0] -= number
                return None
            return self._cuts.popleft()

    def forget(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._connections.discard(connection)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                if self._listener is listener:
                    continue  # a client that gave up before it was taken
                return
            self.accepted += 1
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=_CONNECT_SECONDS)
        except OSError:
            reset_on_close(client)
            client.close()
            return
        connection = Connection(self, client, server)
        with self._lock:
            self._connections.add(connection)
        connection.start()
        if self._listener is None:  # taken down meanwhile
            connection.end(reset=False)

    def _end_all(self, *, reset: bool) -> None:
        with self._lock:
            several = [*self._connections]
        for connection in several:
            connection.end(reset=reset)
