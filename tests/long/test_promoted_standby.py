"""A standby promoted a few commits short 备库提升, under load, with no hand on the node."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from support.clusters import Cluster, cluster, cut_off, dsn_of_both, standby
from support.ledgers import BAD_SEQUENCES
from support.offices import CENTRE, SHANDONG, Desk, at_work, await_confirmed, round_with
from support.processes import Process
from support.web import post
from support.world import WAIT_SECONDS, eventually, read_topic, rows

from node.kafka import clients as kafka_clients
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import uplink
from node.localstack import LocalStack
from node.localstack.ports import free_port
from node.localstack.stack import stack_settings
from node.postgres.connection import migrate
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

DATABASE = "petitionlink_370000"
EVENTS = "select event_id::text, md5(value) from case_event order by 1"
FOLDS = "select case_id, fold::text from petition_case order by 1"
ROWS = "select count(*) from outbox"
PUBLISHED = "select count(*) from outbox where published_at is not null"
WRITERS = 4


class Writer(threading.Thread):
    """A client that goes on with one case, sending again what was not answered."""

    def __init__(self, base: str) -> None:
        super().__init__(daemon=True)
        self.base = base
        self.done = 0
        self.refused = 0
        self.wrong: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Register a case, accept it, and report its progress until the end."""
        with httpx.Client(base_url=self.base, timeout=WAIT_SECONDS) as client:
            first = {"command": "register", "title": "供暖不足", "channel": "web"}
            case_id = (self._answered(client, first) or {}).get("case_id")
            self._answered(client, {"command": "accept", "case_id": case_id})
            while not self.ended.is_set():
                given = {"command": "progress", "case_id": case_id, "progress": "正在办理"}
                self._answered(client, given)

    def _answered(self, client: httpx.Client, command: dict[str, Any]) -> dict[str, Any] | None:
        key = str(uuid.uuid4())
        while not self.ended.is_set():
            try:
                answer = post(client, command, key)
            except httpx.HTTPError:
                continue
            if answer.status_code in (200, 201):
                self.done += 1
                found: dict[str, Any] = answer.json()
                return found
            if answer.status_code == 409:  # it was done, and its answer was lost with the primary
                return {}
            self.refused += answer.json().get("rule") == "not_confirmed"
            if answer.status_code != 503:
                self.wrong.append(answer.text)
                return None
            self.ended.wait(0.1)
        return None


@contextmanager
def writers(base: str) -> Iterator[list[Writer]]:
    """Clients that give commands inside the block."""
    made = [Writer(base) for _ in range(WRITERS)]
    for one in made:
        one.start()
    try:
        yield made
    finally:
        for one in made:
            one.ended.set()
        for one in made:
            one.join(WAIT_SECONDS)


def node_on(primary: Cluster, follower: Cluster) -> Settings:
    """Shandong with a database on the primary and a DSN with both hosts."""
    primary.execute(f"create database {DATABASE}")
    there = f"select count(*) from pg_database where datname = '{DATABASE}'"
    eventually(lambda: follower.execute(there) == [(1,)], "the standby has the database")
    dsn = dsn_of_both(follower, primary, database=DATABASE)
    migrate(dsn, SHANDONG)
    changed = {
        "postgres_dsn": SecretStr(dsn),
        "http_port": free_port(),
        "metrics_port": free_port(),
    }
    return stack_settings(SHANDONG).model_copy(update=changed)


def on(server: Cluster, query: str) -> list[tuple[Any, ...]]:
    """Return a query's rows in the node's database on one of the two."""
    return server.execute(query, DATABASE)


def ids_on_uplink(settings: Settings) -> set[str]:
    """Return every event that the node ever published."""
    topic = uplink(SHANDONG)
    with closing(kafka_clients.plain_consumer(settings, "test")) as client:
        places = [TopicPartition(topic, n) for n in client.partitions_for_topic(topic)]
        first, end = client.beginning_offsets(places), client.end_offsets(places)
    number = sum(end.values()) - sum(first.values())
    return {dict(one.headers)["ce_id"].decode() for one in read_topic(settings, topic, number)}


def test_a_standby_promoted_a_few_commits_short_takes_no_sequence_number_twice(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """docs/faults.md 38. Seen failing with the gate always open: numbers of lost events came
    twice."""
    centre = Desk(fresh_settings(CENTRE), Metrics())
    with (
        cluster(tmp_path / "primary") as primary,
        standby(primary, tmp_path / "standby") as follower,
    ):
        shandong = Desk(node_on(primary, follower), Metrics())
        process = Process(empty_topics, SHANDONG, settings=shandong.settings)
        try:
            process.await_ready()
            base = f"http://127.0.0.1:{shandong.settings.http_port}"
            with at_work(centre), writers(base) as clients:
                eventually(lambda: all(one.done > 5 for one in clients), "commands are taken")
                fail_over(primary, follower)
                assert on(follower, EVENTS) != []
                before = [one.done for one in clients]
                eventually(
                    lambda: all(
                        one.done > was + 5 for one, was in zip(clients, before, strict=True)
                    ),
                    "commands are taken again",
                )
            assert [one.wrong for one in clients] == [[]] * WRITERS
            assert rows(shandong.settings, BAD_SEQUENCES) == []
            with at_work(centre):
                eventually(
                    lambda: rows(shandong.settings, EVENTS) == rows(centre.settings, EVENTS),
                    "both hold the same",
                )
                await_confirmed(shandong)
                assert round_with(centre, SHANDONG).equal
        finally:
            process.stop()
        for desk in (centre, shandong):
            assert rows(desk.settings, BAD_SEQUENCES) == []
        assert sum(one.refused for one in clients) > 0
        assert rows(shandong.settings, FOLDS) == rows(centre.settings, FOLDS)
        assert ids_on_uplink(shandong.settings) == {
            one for one, _ in rows(shandong.settings, EVENTS)
        }


def fail_over(primary: Cluster, follower: Cluster) -> None:
    """Kill the primary, which has published events that the standby lacks, and promote that."""
    cut_off(primary, follower)
    ((had,),) = on(primary, ROWS)  # the standby has no more than these
    eventually(lambda: on(primary, PUBLISHED)[0][0] >= had + 20, "more is published")
    primary.kill()
    ((kept,),) = on(follower, ROWS)
    assert kept <= had, "nothing was lost: this test shows nothing"
    follower.promote()
