"""Bounds for clients that are slow, many or silent 慢连接与连接数.

A connection costs a descriptor, and Kafka and Postgres need some too. So headers have a time limit,
bodies and the reading of answers a least rate, and the number of connections a maximum. At that
number, the connection that has waited longest without a whole request makes room: a client that
sends a request is served, however many others hold on.

    ClientLimits  the limits of one server, frozen
    Clients       the open connections: admits, makes room, sweeps every second
    Client        one connection: uvicorn's protocol with a record of its progress
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
# For Kafka, Postgres, logs, the metrics port, and the connections of one accept.
_RESERVED_DESCRIPTORS = 192
_FEWEST, _MOST = 16, 512
# Headers of ours have 2 kB at most, cookies of other sites on one name included.
MAX_HEADER_BYTES = 16 * 1024
# h11 takes about 10 µs for each chunk, however short. A client that streams sends kilobytes.
MAX_CHUNKS = 2000


class ClientLimits(NamedTuple):
    """The limits of one server; times in seconds, rates in bytes a second."""

    connections: int
    header_seconds: float = 10.0
    # After this time, a body or an answer must have moved at the least rate.
    patience_seconds: float = 15.0
    bytes_a_second: float = 4096.0

    @property
    def connections_of_one(self) -> int:
        """The most connections of one address: a half, so that nobody alone keeps others out."""
        return max(1, self.connections // 2)


def limits_of_process() -> ClientLimits:
    """Return limits with as many connections as the process has descriptors to spare."""
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
        """Admit the connection, if need be in place of a waiting one; False if it must end."""
        network = network_of(address)
        if self._by_network[network] >= self.limits.connections_of_one:
            return self._make_room(network) and self._add(client, network)
        if len(self._open) >= self.limits.connections and not self._make_room(None):
            return False
        return self._add(client, network)

    def forget(self, client: Client) -> None:
        """Forget a connection that has ended."""
        network = self._open.pop(client, None)
        if network is not None:
            self._by_network[network] -= 1
            if not self._by_network[network]:
                del self._by_network[network]
        self._metrics.web_connections.set(len(self._open))

    def sweep(self) -> None:
        """End the connections that are too slow, every second while one is open."""
        for client in list(self._open):
            reason = client.too_slow()
            if reason:
                self.end(client, reason)
        self._sweeping = None
        self._sweep_later()

    def end(self, client: Client, reason: str) -> None:
        """Close a connection at once, without an answer; one that was not admitted too."""
        self._metrics.web_connections_ended.labels(reason).inc()
        self.forget(client)
        client.transport.abort()

    def _add(self, client: Client, network: str) -> bool:
        self._open[client] = network
        self._by_network[network] += 1
        self._metrics.web_connections.set(len(self._open))
        self._sweep_later()
        return True

    def _make_room(self, network: str | None) -> bool:
        """End the connection, in `network` if it is given, that has waited longest for a request.

        Connections that began to send a request go first, then those idle between two.
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


class _H11Connection(h11.Connection):
    """An h11 connection that refuses a body in very many chunks."""

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
    """One connection, which records since when it waits for what."""

    def __init__(self, clients: Clients, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self.conn = _H11Connection()
        self._clients = clients
        self._since = clients.clock()  # when the present state began
        self._received = 0  # bytes since then
        self._state = ""
        self._unread = 0  # bytes of the answer that the client had not read at the last sweep
        self._unread_since = self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Override of uvicorn."""
        super().connection_made(transport)
        if not self._clients.admit(self, self.client[0] if self.client else ""):
            self._clients.end(self, "refused")

    def connection_lost(self, exc: Exception | None) -> None:
        """Override of uvicorn."""
        self._clients.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Override of uvicorn."""
        self._note_state()
        self._received += len(data)
        super().data_received(data)
        self._note_state()

    @property
    def is_waiting(self) -> bool:
        """True while no whole request is here and no answer is being made or read."""
        return self._current_state() != "answer"

    @property
    def patience(self) -> tuple[bool, float]:
        """A sort key: the connection with the least goes first when room is needed."""
        return self._current_state() == "idle", self._since

    def too_slow(self) -> str:
        """Return why this connection must end now; empty if it may stay."""
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
        state = self._current_state()
        if state != self._state:
            self._state, self._since, self._received = state, self._clients.clock(), 0

    def _current_state(self) -> str:
        """Return what we wait for: headers, body, our answer, or idle between two requests."""
        if self.cycle is None or self.cycle.response_complete:
            return "idle" if self.timeout_keep_alive_task is not None else "headers"
        return "body" if self.cycle.more_body and not self.cycle.response_started else "answer"

    def _is_not_reading(self, now: float) -> bool:
        """Return whether the client has read less of an answer than it must."""
        unread = self.transport.get_write_buffer_size()
        least = self._clients.limits.patience_seconds * self._clients.limits.bytes_a_second
        if not unread or unread > self._unread or self._unread - unread >= least:
            self._unread, self._unread_since = unread, now
        return bool(unread) and now - self._unread_since > self._clients.limits.patience_seconds
