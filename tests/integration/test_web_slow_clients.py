"""Slow, silent and many clients: they are ended, and everybody else is answered."""

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from support.processes import Process, metric_at
from support.web import served
from support.world import WAIT_SECONDS, eventually, sample

from node.entrypoints.web.client_limits import MAX_CHUNKS, ClientLimits
from node.localstack import LocalStack
from node.localstack.ports import free_port
from node.runtime.metrics import Metrics
from node.runtime.metrics_server import MOST_CONNECTIONS, MetricsServer, metrics_served
from node.runtime.settings import Settings

LIMITS = ClientLimits(
    connections=8, header_seconds=0.5, patience_seconds=0.5, bytes_a_second=2000.0
)


@pytest.fixture
def web(
    shandong: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[tuple[str, int], Metrics]]:
    """The address of a web server of few and short patience, and its metrics."""
    monkeypatch.setattr("node.entrypoints.web.server.limits_of_process", lambda: LIMITS)
    metrics = Metrics()
    with served(shandong, metrics) as base:
        yield ("127.0.0.1", httpx.URL(base).port or 0), metrics


def ended(client: socket.socket) -> bool:
    """Wait until the server closes; what it says before does not matter."""
    client.settimeout(WAIT_SECONDS)
    try:
        while client.recv(65536):
            """Until there is no more."""
    except ConnectionError:
        return True
    return True


def ended_for(metrics: Metrics, reason: str) -> float:
    return sample(metrics, "web_connections_ended_total", reason=reason)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "slow_headers"),
        (b"GET /healthz HTTP/1.1\r\nHost: loc", "slow_headers"),
        (
            b"POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 900\r\n\r\n{"comm',
            "slow_body",
        ),
        (
            b"POST /enquiry HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n3\r\ncas",
            "slow_body",
        ),
    ],
)
def test_a_client_that_stops_in_the_middle_is_ended(
    web: tuple[tuple[str, int], Metrics], sent: bytes, reason: str
) -> None:
    """Fails without the sweep: uvicorn has a time for neither headers nor bodies."""
    address, metrics = web
    with socket.create_connection(address) as client:
        client.sendall(sent)
        assert ended(client)
        eventually(lambda: ended_for(metrics, reason) == 1, "the reason is counted")
        eventually(lambda: sample(metrics, "web_connections") <= 1, "it is forgotten")


def test_a_second_request_has_no_more_time_than_the_first(
    web: tuple[tuple[str, int], Metrics],
) -> None:
    address, metrics = web
    with socket.create_connection(address) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /heal")
        assert ended(client)
        eventually(lambda: ended_for(metrics, "slow_headers") == 1, "the reason is counted")


def test_a_client_that_does_not_read_its_answer_is_ended(
    web: tuple[tuple[str, int], Metrics],
) -> None:
    address, metrics = web
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
        eventually(lambda: ended_for(metrics, "slow_reader") == 1, "the reason is counted")


def test_a_body_in_very_many_chunks_is_refused(web: tuple[tuple[str, int], Metrics]) -> None:
    address, _ = web
    head = (
        b"POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    for chunks, said in ((MAX_CHUNKS, b"HTTP/1.1 422"), (MAX_CHUNKS + 1, b"HTTP/1.1 400")):
        with socket.create_connection(address) as client:
            client.settimeout(WAIT_SECONDS)
            body = b'1\r\n"\r\n' + b"1\r\nx\r\n" * (chunks - 2) + b'1\r\n"\r\n'
            client.sendall(head + body + b"0\r\n\r\n")
            assert client.recv(100).startswith(said)


def test_two_lengths_of_one_body_are_refused(web: tuple[tuple[str, int], Metrics]) -> None:
    address, _ = web
    lengths = (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 5, 6\r\n")
    for length in lengths:
        with socket.create_connection(address) as client:
            client.settimeout(WAIT_SECONDS)
            client.sendall(b"POST /enquiry HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 400")


def test_one_address_never_has_more_than_its_half_and_others_are_answered(
    shandong: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = LIMITS._replace(header_seconds=3600.0)
    monkeypatch.setattr("node.entrypoints.web.server.limits_of_process", lambda: patient)
    metrics = Metrics()
    with served(shandong, metrics) as base, ExitStack() as stack:
        address = ("127.0.0.1", httpx.URL(base).port or 0)
        for _ in range(3 * LIMITS.connections):
            stack.enter_context(socket.create_connection(address))
        with socket.create_connection(address, source_address=("127.0.0.9", 0)) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200")
        assert sample(metrics, "web_connections") <= LIMITS.connections // 2 + 1
        assert ended_for(metrics, "crowded_out") > 0


@contextmanager
def few_descriptors(number: int) -> Iterator[None]:
    """Limit the descriptors of processes that are started inside the block to `number`."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_slow_clients_by_the_hundred_do_not_stop_a_process_of_256_descriptors(
    stack: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    """The whole node runs, relay and consumer too. Fails if the number of connections does not
    follow from the descriptors of the process."""
    own = {"http_port": free_port(), "metrics_port": free_port()}
    settings = fresh_settings("660000").model_copy(update=own)
    with few_descriptors(256):
        process = Process(stack, "660000", "run", settings=settings)
    try:
        process.await_ready()
        base = f"http://127.0.0.1:{settings.http_port}"
        with ExitStack() as open_ones:
            for number in range(320):
                source = (f"127.0.0.{number % 20 + 2}", 0)
                for port in (settings.http_port, settings.metrics_port)[: 1 + (number < 60)]:
                    slow = socket.create_connection(("127.0.0.1", port), 10, source)
                    slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
                    open_ones.enter_context(slow)
            assert httpx.get(f"{base}/healthz", timeout=WAIT_SECONDS).status_code == 200
            assert httpx.get(f"{base}/readyz", timeout=WAIT_SECONDS).status_code == 200
            assert httpx.get(f"{base}/v1/status", timeout=WAIT_SECONDS).json()["partitions"]
            connections = metric_at(settings.metrics_port, "web_connections")
            assert connections is not None
            assert connections <= 64
            assert metric_at(settings.metrics_port, "dependency_up", dependency="kafka") == 1
            assert len(os.listdir(f"/proc/{process.pid}/fd")) < 200
            assert process.stop() == 0
    finally:
        if process.is_alive:
            process.kill()
    assert "Too many open files" not in process.text()


@pytest.fixture
def scrapes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], MetricsServer]]:
    """A maker of servers of metrics whose only bound of time is the one that is given."""
    monkeypatch.setattr("node.runtime.metrics_server._Handler.timeout", 3600.0)
    with ExitStack() as made:

        def make(seconds: float) -> MetricsServer:
            server = MetricsServer("127.0.0.1", 0, Metrics(), seconds)
            made.callback(server.server_close)
            return server

        yield make


def test_silent_scrapes_keep_nobody_from_the_metrics(
    scrapes: Callable[[float], MetricsServer],
) -> None:
    """Fails if the oldest does not make room for the next."""
    server = scrapes(3600.0)
    with ExitStack() as stack:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.server_port)))
            for _ in range(3 * MOST_CONNECTIONS)
        ]
        assert httpx.get(f"http://127.0.0.1:{server.server_port}/metrics").status_code == 200
        assert all(ended(one) for one in slow[: 2 * MOST_CONNECTIONS])


def test_a_scrape_that_stops_in_the_middle_has_a_bound(
    scrapes: Callable[[float], MetricsServer],
) -> None:
    server = scrapes(0.0)
    with socket.create_connection(("127.0.0.1", server.server_port)) as slow:
        slow.sendall(b"GET /met")
        server.handle_request()
        server.service_actions()
        assert ended(slow)


def test_metrics_are_answered_on_loopback_only(beijing: Settings) -> None:
    """The library listens on 0.0.0.0 unless it is told otherwise."""
    settings = beijing.model_copy(update={"metrics_port": free_port()})
    with metrics_served(settings, Metrics()):
        listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    port = f"{settings.metrics_port:04X}"
    found = [line.split()[1:4] for line in listening.splitlines()[1:]]
    local = [one for one, _, state in found if state == "0A" and one.endswith(f":{port}")]
    assert local == [f"0100007F:{port}"]
