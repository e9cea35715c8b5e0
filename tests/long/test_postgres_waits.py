"""docs/faults.md 37: a whole node over a Postgres that answers nothing, or confirms no commit.

Each wait has its real bound, so these tests take a minute each.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from support.ledgers import assert_sound, await_settled, query
from support.processes import Process, metric, one, running_nodes
from support.servers import postgres_frozen, standby_gone
from support.web import post
from support.world import WAIT_SECONDS, eventually

from node.localstack import LocalStack

CENTRE, SHANDONG = "000000", "370000"
NEW = {"command": "register", "title": "供暖不足", "channel": "web"}
_WAITING = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"


@contextmanager
def node_of(stack: LocalStack) -> Iterator[tuple[Process, httpx.Client]]:
    """Return a node of Shandong that has written, and a client of its web service."""
    base = f"http://127.0.0.1:{stack.http_port(SHANDONG)}"
    with (
        one(lambda: Process(stack, SHANDONG)) as process,
        httpx.Client(base_url=base, timeout=WAIT_SECONDS) as client,
    ):
        eventually(lambda: answers(client, "/readyz", 200), "it is ready")
        assert post(client, NEW).status_code == 201
        eventually(lambda: up(stack) == 1, "it says that Postgres answers")
        yield process, client


def answers(client: httpx.Client, path: str, status: int) -> bool:
    try:
        return client.get(path).status_code == status
    except httpx.TransportError:
        return False


def up(stack: LocalStack) -> float | None:
    return metric(stack, SHANDONG, "dependency_up", dependency="postgres")


def pending_is_unknown(stack: LocalStack) -> bool:
    """Tell if the number of waiting rows is shown as unknown."""
    return math.isnan(metric(stack, SHANDONG, "outbox_pending_records") or 0)


def assert_nothing_lost(stack: LocalStack) -> None:
    with running_nodes(stack, CENTRE, SHANDONG):
        await_settled(stack)
    assert_sound(stack)


class Asked(threading.Thread):
    """A command that is sent beside the test."""

    def __init__(self, base: httpx.URL, key: str) -> None:
        super().__init__(daemon=True)
        self._base = base
        self._key = key
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        with httpx.Client(base_url=self._base, timeout=WAIT_SECONDS) as client:
            self.answer = post(client, NEW, self._key)

    def answered(self) -> httpx.Response:
        self.join(WAIT_SECONDS)
        assert self.answer is not None, "no answer"
        return self.answer


def test_a_frozen_postgres_is_said_to_be_away_and_holds_up_neither_health_nor_sigterm(
    new_nodes: LocalStack,
) -> None:
    """Seen failing without the watchdog: SIGTERM took longer than 30 s, `dependency_up` was 1."""
    with node_of(new_nodes) as (process, client):
        with postgres_frozen(new_nodes):
            asked = Asked(client.base_url, "frozen-1")
            eventually(lambda: answers(client, "/readyz", 503), "not ready")
            assert client.get("/healthz", timeout=WAIT_SECONDS).status_code == 200
            assert asked.answered().status_code == 503
            eventually(lambda: up(new_nodes) == 0, "Postgres is away")
            eventually(lambda: pending_is_unknown(new_nodes), "not known")
        eventually(lambda: up(new_nodes) == 1, "Postgres is back")
        eventually(lambda: answers(client, "/readyz", 200), "it is ready again")
        assert post(client, NEW, "frozen-1").status_code == 201
        with postgres_frozen(new_nodes):
            assert process.stop() == 0  # within 30 s
    assert_nothing_lost(new_nodes)


def test_commits_without_their_standby_are_not_known_and_hold_up_neither_reads_nor_sigterm(
    new_nodes: LocalStack,
) -> None:
    """Seen failing without the watchdog: the request hung for ever, `/readyz` was 200."""
    with node_of(new_nodes) as (process, client):
        with standby_gone(new_nodes):
            asked = Asked(client.base_url, "standby-1")
            eventually(lambda: query(SHANDONG, _WAITING)[0][0] > 0, "a commit waits")
            assert client.get("/v1/cases").status_code == 200  # others go on
            lost = asked.answered()
            assert lost.status_code == 503
            assert "not known" in lost.json()["detail"]
            eventually(lambda: answers(client, "/readyz", 503), "not ready")
            assert "synchronous_standby_names" in client.get("/readyz").json()["detail"]
            eventually(lambda: up(new_nodes) == 0, "commits are not confirmed")
            waiting = query(SHANDONG, _WAITING)[0][0]
            for _ in range(5):  # refused at once, and no further backend is left waiting
                refused = post(client, NEW)
                assert refused.status_code == 503
                assert "nothing was changed" in refused.json()["detail"]
            assert query(SHANDONG, _WAITING)[0][0] <= waiting
        eventually(lambda: up(new_nodes) == 1, "commits are confirmed")
        eventually(lambda: post(client, NEW, "standby-1").status_code == 201, "the kept answer")
        with standby_gone(new_nodes):
            asked = Asked(client.base_url, "standby-2")
            eventually(lambda: query(SHANDONG, _WAITING)[0][0] > 0, "a commit waits")
            assert process.stop() == 0  # within 30 s
    assert_nothing_lost(new_nodes)
