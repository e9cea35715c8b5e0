"""Connections of clients that are slow, many or silent 慢连接与连接数, bounded.

A connection costs a descriptor, of which Kafka and Postgres need some too. So there is a time for
headers, a least rate for bodies and for answers that are read, and a number of connections that
is never passed. Where that number is reached, the connection that has waited longest without a
whole request makes room: whoever sends a request is served however many others hold on.

    Limits of one server  → ClientLimits, frozen
    what is open          → Clients: admits, makes room, sweeps every second
    one connection        → Client, uvicorn's protocol with a record of its progress
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from node.enquiry_access.attempt_limit import network_of
from node.runtime.metrics import Metrics

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 1.0
# Kafka, Postgres, logs, the metrics port, and what the kernel hands over at once.
_RESERVED_DESCRIPTORS = 192
_FEWEST, _MOST = 16, 512
# Headers of ours have 2 kB at most, cookies of other sites on one name included.
MAX_HEADER_BYTES = 16 * 1024
# h11 takes about 10 µs for each chunk, however short. A client that streams sends kilobytes.
MAX_CHUNKS = 2000


class ClientLimits(NamedTuple):
    """How long and how many; times in seconds, rates in bytes a second."""

    connections: int
    header_seconds: float = 10.0
    # A body or an answer may be slow, but not slower than this once so much time has passed.
    patience_seconds: float = 15.0
    bytes_a_second: float = 4096.0

    @property
    def connections_of_one(self) -> int:
        """Of one address: a half, so that nobody alone keeps others out."""
        return max(1, self.connections // 2)


def limits_of_process() -> ClientLimits:
    """As many connections as the process has descriptors to spare."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = _MOST if soft == resource.RLIM_INFINITY else soft - _RESERVED_DESCRIPTORS
    return ClientLimits(min(_MOST, max(_FEWEST, spare)))


class Clients:
    """The open connections of one server; used by its event loop only."""

    def __init__(
        self,
        limits: ClientLimits,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.clock = clock
        self._metrics = metrics
        self._open: dict[Client, str] = {}  # in the order in which they came
        self._by_network: Counter[str] = Counter()
        self._sweeping: asyncio.TimerHandle | None = None

    def admit(self, client: Client, address: str) -> bool:
        """Take the connection in, if need be in place of one that waits; False if it must go."""
        network = network_of(address)
        if self._by_network[network] >= self.limits.connections_of_one:
            return self._make_room(network) and self._take(client, network)
        if len(self._open) >= self.limits.connections and not self._make_room(None):
            return False
        return self._take(client, network)

    def forget(self, client: Client) -> None:
        """The connection has ended."""
        network = self._open.pop(client, None)
        if network is not None:
            self._by_network[network] -= 1
            if not self._by_network[network]:
                del self._by_network[network]
        self._metrics.web_connections.set(len(self._open))

    def sweep(self) -> None:
        """End what is too slow; comes back every second while something is open."""
        for client in list(self._open):
            reason = client.too_slow()
            if reason:
                self.end(client, reason)
        self._sweeping = None
        self._sweep_later()

    def end(self, client: Client, reason: str) -> None:
        """Close a connection at once, without an answer."""
        self._metrics.web_connections_ended.labels(reason).inc()
        self.forget(client)
        client.transport.abort()

    def refuse(self, client: Client) -> None:
        """Close a connection that was not admitted."""
        self._metrics.web_connections_ended.labels("refused").inc()
        client.transport.abort()

    def _take(self, client: Client, network: str) -> bool:
        self._open[client] = network
        self._by_network[network] += 1
        self._metrics.web_connections.set(len(self._open))
        self._sweep_later()
        return True

    def _make_room(self, network: str | None) -> bool:
        """End the connection, of `network` or of any, that has waited longest for a request.

        Those that began to send one go first, then those that are idle between two.
        """
        waiting = [
            client
            for client, its_network in self._open.items()
            if client.is_waiting and network in (None, its_network)
        ]
        if not waiting:
            return False
        self.end(min(waiting, key=lambda client: client.patience), "crowded_out")
        return True

    def _sweep_later(self) -> None:
        if self._sweeping is None and self._open:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(_SWEEP_SECONDS, self.sweep)


class _Reader(h11.Connection):
    """Refuses a body in very many pieces."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEADER_BYTES)
        self._chunks = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = 0
        elif isinstance(event, h11.Data) and event.chunk_start:
            self._chunks += 1
            if self._chunks > MAX_CHUNKS:
                raise h11.RemoteProtocolError("a body in too many chunks")
        return event


class Client(H11Protocol):
    """One connection, which knows how long it has been waiting for what."""

    def __init__(self, clients: Clients, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self.conn = _Reader()
        self._clients = clients
        self._since = clients.clock()  # when the present state began
        self._received = 0  # bytes since then
        self._state = ""
        self._unread = 0  # bytes of the answer that the client had not read at the last sweep
        self._unread_since = self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Of uvicorn."""
        super().connection_made(transport)
        if not self._clients.admit(self, self.client[0] if self.client else ""):
            self._clients.refuse(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Of uvicorn."""
        self._clients.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Of uvicorn."""
        self._note_state()
        self._received += len(data)
        super().data_received(data)
        self._note_state()

    @property
    def is_waiting(self) -> bool:
        """True while no whole request is here and no answer is being made or read."""
        return self._now_doing() != "answer"

    @property
    def patience(self) -> tuple[bool, float]:
        """The least one goes first when room is needed."""
        return self._now_doing() == "idle", self._since

    def too_slow(self) -> str:
        """The reason why this connection must end now; empty if it may stay."""
        limits, now = self._clients.limits, self._clients.clock()
        self._note_state()
        waited = now - self._since
        if self._is_not_reading(now):
            return "slow_reader"
        if self._state == "headers" and waited > limits.header_seconds:
            return "slow_headers"
        if self._state == "body":
            over = max(0.0, waited - limits.patience_seconds)
            if over * limits.bytes_a_second > self._received:
                return "slow_body"
        return ""

    def _note_state(self) -> None:
        state = self._now_doing()
        if state != self._state:
            self._state, self._since, self._received = state, self._clients.clock(), 0

    def _now_doing(self) -> str:
        """What we wait for: headers, body, answer (ours), or idle between two requests."""
        if self.cycle is None or self.cycle.response_complete:
            return "idle" if self.timeout_keep_alive_task is not None else "headers"
        return "body" if self.cycle.more_body and not self.cycle.response_started else "answer"

    def _is_not_reading(self, now: float) -> bool:
        """Whether the client has read less of an answer than it must."""
        unread = self.transport.get_write_buffer_size()
        least = self._clients.limits.patience_seconds * self._clients.limits.bytes_a_second
        if not unread or unread > self._unread or self._unread - unread >= least:
            self._unread, self._unread_since = unread, now
        return bool(unread) and now - self._unread_since > self._clients.limits.patience_seconds
