"""The proxy that fault tests break links with does to the bytes what it says."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest
from support.proxy import HOST, Conditions, Proxy, Verdict
from support.world import eventually

SILENCE_SECONDS = 0.2
ANSWER_SECONDS = 5.0


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes, and remembers it."""

    heard: bytearray

    def handle(self) -> None:
        try:
            while data := self.request.recv(65_536):
                self.heard.extend(data)
                self.request.sendall(data)
        except OSError:
            return


@pytest.fixture
def heard() -> bytearray:
    """Return what the server has received."""
    return bytearray()


@pytest.fixture
def link(heard: bytearray) -> Iterator[Proxy]:
    """A proxy in front of an echo server."""
    handler = type("Handler", (Echo,), {"heard": heard})
    with socketserver.ThreadingTCPServer((HOST, 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            with Proxy((HOST, server.socket.getsockname()[1])) as proxy:
                yield proxy
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def client(link: Proxy) -> Iterator[socket.socket]:
    """A connection through the proxy."""
    with socket.create_connection((HOST, link.port), timeout=ANSWER_SECONDS) as one:
        yield one


def answer(client: socket.socket, number: int) -> bytes:
    """Return the next `number` bytes."""
    found = b""
    while len(found) < number:
        found += client.recv(number - len(found))
    return found


def is_silent(client: socket.socket) -> bool:
    client.settimeout(SILENCE_SECONDS)
    try:
        return client.recv(1) == b"?"
    except TimeoutError:
        return True
    finally:
        client.settimeout(ANSWER_SECONDS)


def test_bytes_pass_both_ways_whole_and_in_order(client: socket.socket) -> None:
    sent = bytes(range(256)) * 8192
    threading.Thread(target=client.sendall, args=(sent,), daemon=True).start()
    assert answer(client, len(sent)) == sent


def test_a_link_that_is_down_refuses_and_comes_up_again_on_the_same_port(
    link: Proxy, client: socket.socket
) -> None:
    port = link.port
    client.sendall(b"x")
    answer(client, 1)
    link.down()
    assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port))
    link.up()
    assert link.port == port
    with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as again:
        again.sendall(b"x")
        assert answer(again, 1) == b"x"


def test_a_reset_reaches_the_client_as_one_and_leaves_nothing_after(
    link: Proxy, client: socket.socket
) -> None:
    client.sendall(b"x")
    answer(client, 1)
    link.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    eventually(lambda: link.open_connections == 0, "the connection is forgotten")


def test_what_is_swallowed_never_comes_and_the_connection_is_lost_for_good(
    link: Proxy, client: socket.socket, heard: bytearray
) -> None:
    link.conditions = Conditions(swallows=True)
    client.sendall(b"lost")
    assert is_silent(client)
    link.conditions = Conditions()
    client.sendall(b"also lost")
    assert is_silent(client)
    assert heard == b""


def test_what_is_held_comes_when_the_hold_ends(
    link: Proxy, client: socket.socket, heard: bytearray
) -> None:
    link.conditions = Conditions(holds=True)
    client.sendall(b"kept")
    assert is_silent(client)
    assert heard == b""
    link.conditions = Conditions()
    assert answer(client, 4) == b"kept"


def test_a_delay_is_that_of_the_link_twice_and_order_stays(
    link: Proxy, client: socket.socket
) -> None:
    link.conditions = Conditions(delay_seconds=0.1, jitter_seconds=0.05)
    began = time.monotonic()
    for number in range(10):
        client.sendall(bytes([number]))
    assert answer(client, 10) == bytes(range(10))
    assert time.monotonic() - began > 0.1


def test_a_narrow_link_takes_as_long_as_its_width_says(link: Proxy, client: socket.socket) -> None:
    link.conditions = Conditions(bits_per_second=64_000)
    began = time.monotonic()
    client.sendall(bytes(4_000))
    answer(client, 4_000)
    assert time.monotonic() - began > 0.4


def test_a_response_is_cut_after_the_given_byte_and_the_next_connection_is_whole(
    link: Proxy, client: socket.socket
) -> None:
    link.cut_responses(10)
    client.sendall(bytes(100))
    found: list[bytes] = []
    with pytest.raises(ConnectionResetError):
        found.extend(iter(lambda: client.recv(100), b""))
    assert len(b"".join(found)) <= 10
    with socket.create_connection((HOST, link.port), timeout=ANSWER_SECONDS) as again:
        again.sendall(bytes(100))
        answer(again, 100)


@pytest.mark.parametrize(
    ("verdict", "received"), [(Verdict.CUT_BEFORE, b""), (Verdict.CUT_AFTER, b"COMMIT")]
)
def test_a_watch_cuts_before_the_server_sees_it_or_before_the_client_hears(
    link: Proxy, client: socket.socket, heard: bytearray, verdict: Verdict, received: bytes
) -> None:
    link.watch = lambda sent: verdict if b"COMMIT" in sent else Verdict.PASS
    client.sendall(b"COMMIT")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert heard == received
