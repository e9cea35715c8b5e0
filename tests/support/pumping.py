"""One connection through a proxy: two pumps, one per direction, under the conditions of now."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple, Protocol

_CHUNK_BYTES = 65_536
# A narrow link takes small bites, or a chunk would sit here for seconds.
_NARROW_CHUNK_BYTES = 1_024
# Bytes under way in one direction; with more than these the sender has to wait.
_BUFFER_BYTES = 1_048_576
_NARROW_BUFFER_BYTES = 8_192
# How long a pump with bytes in hand may sleep before it looks at the conditions again.
_LOOK_SECONDS = 0.05
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Verdict(Enum):
    """The fate of a connection, given the bytes that a `watch` has seen."""

    PASS = auto()
    CUT_BEFORE = auto()  # the server never sees these bytes
    CUT_AFTER = auto()  # the server does what they say; its answer is lost


class Conditions(NamedTuple):
    """The state of a link now."""

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    bits_per_second: float = 0.0  # 0: as fast as it can
    holds: bool = False  # bytes wait and come when it ends, as if packets were lost for a while
    swallows: bool = False  # bytes are taken and never come, on this connection never again


Watch = Callable[[bytes], Verdict]


def reset_on_close(one: socket.socket) -> None:
    """Its close will send RST instead of FIN."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


class Link(Protocol):
    """The part of a proxy that its connections use."""

    conditions: Conditions
    watch: Watch
    chance: random.Random

    def allowed(self, number: int) -> int | None:
        """Return how many of `number` bytes of a response may pass before its cut; None: all, no
        cut."""

    def forget(self, connection: Connection) -> None:
        """Forget a connection that has ended."""


class Connection:
    """One client's connection and ours to the server."""

    def __init__(self, link: Link, client: socket.socket, server: socket.socket) -> None:
        self.link = link
        self.ended = threading.Event()
        self.lost = False  # bytes were swallowed: what came after them would be nonsense
        self.answer_is_lost = False
        self._sockets = (client, server)
        self._reset = False
        self._lock = threading.Lock()
        self._running = 2
        for one in self._sockets:
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        client, server = self._sockets
        for pump in (_Pump(self, client, server, True), _Pump(self, server, client, False)):
            threading.Thread(target=pump.run, daemon=True).start()

    def end(self, *, reset: bool) -> None:
        """End both directions; each pump notices by itself."""
        self._reset |= reset
        self.ended.set()
        for one in self._sockets:
            try:
                one.shutdown(socket.SHUT_RD)  # wakes a pump that waits for bytes, sends nothing
            except OSError:
                continue

    def pump_ended(self) -> None:
        """Called by each pump; the last one closes the sockets."""
        self.end(reset=False)
        with self._lock:
            self._running -= 1
            if self._running:
                return
        for one in self._sockets:
            if self._reset:
                reset_on_close(one)
            one.close()
        self.link.forget(self)


class _Pump:
    """Carries bytes one way."""

    def __init__(
        self, connection: Connection, source: socket.socket, sink: socket.socket, is_request: bool
    ) -> None:
        self._connection = connection
        self._link = connection.link
        self._source = source
        self._sink = sink
        self._is_request = is_request
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._free_at = 0.0  # when the narrow link has sent what it has taken
        self._source_ended = False

    def run(self) -> None:
        try:
            while not self._connection.ended.is_set() and not self._is_done():
                self._turn()
        except OSError:
            self._connection.end(reset=True)
        finally:
            self._connection.pump_ended()

    def _is_done(self) -> bool:
        return self._source_ended and not self._under_way

    def _turn(self) -> None:
        """Wait for bytes or for the moment of those in hand, then read and send what is due."""
        self._await(self._link.conditions)
        conditions = self._link.conditions
        if self._has_room(conditions):
            self._read(conditions)
        if not self._link.conditions.holds:  # a watch may have begun it just now
            self._send_due()

    def _has_room(self, conditions: Conditions) -> bool:
        limit = _NARROW_BUFFER_BYTES if conditions.bits_per_second else _BUFFER_BYTES
        return not self._source_ended and not conditions.holds and self._bytes < limit

    def _await(self, conditions: Conditions) -> None:
        if conditions.holds:
            self._connection.ended.wait(_LOOK_SECONDS)
            return
        poll = select.poll()
        if self._has_room(conditions):
            poll.register(self._source, select.POLLIN)
        wait = None
        if self._under_way:
            wait = max(0.0, self._under_way[0][0] - time.monotonic())
            if wait == 0.0:
                poll.register(self._sink, select.POLLOUT)
            wait = min(wait or _LOOK_SECONDS, _LOOK_SECONDS)
        poll.poll(None if wait is None else wait * 1000)

    def _read(self, conditions: Conditions) -> None:
        is_narrow = conditions.bits_per_second > 0
        try:
            chunk = self._source.recv(_NARROW_CHUNK_BYTES if is_narrow else _CHUNK_BYTES)
        except BlockingIOError:
            return
        self._source_ended = not chunk
        self._connection.lost |= conditions.swallows
        if chunk and not self._connection.lost:
            self._take(chunk, conditions)

    def _take(self, chunk: bytes, conditions: Conditions) -> None:
        verdict = self._link.watch(chunk) if self._is_request else Verdict.PASS
        is_lost_answer = not self._is_request and self._connection.answer_is_lost
        if verdict is Verdict.CUT_BEFORE or is_lost_answer:
            self._connection.end(reset=True)
            return
        if verdict is Verdict.CUT_AFTER:
            self._connection.answer_is_lost = True
        self._under_way.append((self._due(len(chunk), conditions), chunk))
        self._bytes += len(chunk)

    def _due(self, number: int, conditions: Conditions) -> float:
        """Return when these bytes arrive: never before those that were sent earlier."""
        now = time.monotonic()
        jitter = self._link.chance.uniform(-1, 1) * conditions.jitter_seconds
        due = now + max(0.0, conditions.delay_seconds + jitter)
        if conditions.bits_per_second:
            self._free_at = max(now, self._free_at) + number * 8 / conditions.bits_per_second
            due = max(due, self._free_at)
        return max(due, self._under_way[-1][0] if self._under_way else 0.0)

    def _send_due(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            due, chunk = self._under_way.popleft()
            self._bytes -= len(chunk)
            allowed = None if self._is_request else self._link.allowed(len(chunk))
            sent = self._sent(chunk[:allowed])
            if allowed is not None:
                self._connection.end(reset=True)
                return
            if sent < len(chunk):
                self._under_way.appendleft((due, chunk[sent:]))
                self._bytes += len(chunk) - sent
                return

    def _sent(self, chunk: bytes) -> int:
        try:
            return self._sink.send(chunk)
        except BlockingIOError:
            return 0
