"""Nodes under load while they are stopped, and while Kafka or Postgres is away."""

import time
from functools import partial
from pathlib import Path

from support.cli import petitionlink, refused
from support.ledgers import assert_sound, await_settled, event_count, query
from support.processes import Process, metric, one, running_nodes
from support.servers import broker_frozen, broker_killed, postgres_away
from support.streams import import_new_rows, streaming
from support.world import eventually

from node.localstack import LocalStack

CENTRE, BEIJING, SHANDONG = "000000", "110000", "370000"
_CUTS = 15
_TERMINATE = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where application_name in ('petitionlink-consumer', 'petitionlink-relay')
"""


def says(node: str, stack: LocalStack, dependency: str, value: float) -> bool:
    return metric(stack, node, "dependency_up", dependency=dependency) == value


def await_saying(stack: LocalStack, dependency: str, value: float, *nodes: str) -> None:
    for node in nodes:
        eventually(
            partial(says, node, stack, dependency, value),
            f"{node} says {dependency} {value:g}",
        )


def test_nodes_stopped_under_load_end_with_exit_code_0_and_lose_nothing(
    new_nodes: LocalStack, tmp_path: Path
) -> None:
    with streaming(SHANDONG, tmp_path) as stream:
        for _ in range(2):
            with running_nodes(new_nodes, CENTRE, SHANDONG):  # asserts exit code 0 within 30 s
                before = event_count(CENTRE)
                eventually(lambda: event_count(CENTRE) > before, "events move")  # noqa: B023
    with running_nodes(new_nodes, CENTRE, SHANDONG):
        await_settled(new_nodes)
    assert event_count(CENTRE) == event_count(SHANDONG) == stream.events
    assert_sound(new_nodes)


def test_nodes_whose_database_connections_are_cut_again_and_again_lose_nothing(
    new_nodes: LocalStack, tmp_path: Path
) -> None:
    cut = 0
    with running_nodes(new_nodes, CENTRE, SHANDONG) as nodes:
        with streaming(SHANDONG, tmp_path) as stream:
            while cut < _CUTS:
                cut += query(CENTRE, _TERMINATE)[0][0]
                time.sleep(0.1)
        await_settled(new_nodes)
        assert all(process.is_alive for process in nodes.values())
    assert event_count(CENTRE) == event_count(SHANDONG) == stream.events
    assert_sound(new_nodes)


def test_nodes_wait_while_postgres_is_away_and_go_on_when_it_is_back(
    new_nodes: LocalStack, tmp_path: Path
) -> None:
    with running_nodes(new_nodes, CENTRE, SHANDONG) as nodes:
        await_saying(new_nodes, "postgres", 1, CENTRE, SHANDONG)
        expected = import_new_rows(SHANDONG, tmp_path, 1500)
        with postgres_away(new_nodes):  # while what was imported is on its way
            await_saying(new_nodes, "postgres", 0, CENTRE, SHANDONG)
            away = petitionlink("status", "--node", CENTRE)
            assert "Postgres is away" in refused(away)
            assert away.out == ""
            rebalances = metric(new_nodes, CENTRE, "consumer_rebalances_total")
        await_saying(new_nodes, "postgres", 1, CENTRE, SHANDONG)
        expected += import_new_rows(SHANDONG, tmp_path, 50)
        await_settled(new_nodes)
        assert all(process.is_alive for process in nodes.values())
        assert metric(new_nodes, CENTRE, "consumer_rebalances_total") == rebalances
    assert event_count(CENTRE) == event_count(SHANDONG) == expected
    assert_sound(new_nodes)


def test_nodes_take_work_while_the_broker_is_killed_and_deliver_when_it_is_back(
    new_nodes: LocalStack, tmp_path: Path
) -> None:
    with running_nodes(new_nodes, CENTRE, SHANDONG) as nodes:
        expected = import_new_rows(SHANDONG, tmp_path, 300)
        with broker_killed(new_nodes):
            late = Process(new_nodes, BEIJING)
            expected += import_new_rows(SHANDONG, tmp_path, 300)
            assert "Kafka" in refused(petitionlink("status", "--node", SHANDONG))
            await_saying(new_nodes, "kafka", 0, CENTRE, SHANDONG, BEIJING)
            waiting = partial(metric, new_nodes, SHANDONG, "outbox_pending_records")
            eventually(lambda: (waiting() or 0) > 0, "what waits is shown")
        # The one that was started without a broker has recovered alone when it is ready.
        with one(lambda: late):
            await_settled(new_nodes)
            await_saying(new_nodes, "kafka", 1, CENTRE, SHANDONG, BEIJING)
            assert late.stop() == 0
        assert all(process.is_alive for process in nodes.values())
    assert event_count(CENTRE) == event_count(SHANDONG) == expected
    assert_sound(new_nodes)


def test_a_broker_that_freezes_for_a_while_costs_time_and_nothing_else(
    new_nodes: LocalStack, tmp_path: Path
) -> None:
    with running_nodes(new_nodes, CENTRE, SHANDONG) as nodes:
        expected = import_new_rows(SHANDONG, tmp_path, 300)
        with broker_frozen(new_nodes):
            expected += import_new_rows(SHANDONG, tmp_path, 300)
            time.sleep(3)
        await_settled(new_nodes)
        assert all(process.is_alive for process in nodes.values())
    assert event_count(CENTRE) == event_count(SHANDONG) == expected
    assert_sound(new_nodes)
