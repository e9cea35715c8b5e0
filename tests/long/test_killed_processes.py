"""kill -9 in the middle of an import stream: nothing lost, nothing doubled, nothing half."""

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import PROGRAM, environment, petitionlink
from support.ledgers import assert_sound, await_settled, event_count, query
from support.processes import Process, one
from support.registers import make_register
from support.streams import import_arguments, streaming
from support.world import eventually

from node.localstack import LocalStack

CENTRE, SHANDONG = "000000", "370000"
KILLS = 10
IMPORT_KILLS = 4
# Ten chunks of an import: each kill comes in the first ones that are new.
_LONG_REGISTER_ROWS = 5000
_ONE_CHUNK_SECONDS = 0.2
_SEED = int(os.environ.get("TEST_SEED", time.time_ns() % 1_000_000))
_LONGEST_LIFE_SECONDS = 0.5


@pytest.fixture
def chance() -> random.Random:
    """Random moments that can be had again: TEST_SEED=<the printed number>."""
    print(f"TEST_SEED={_SEED}")
    return random.Random(_SEED)


def kill_often(
    make: Callable[[], Process], is_moving: Callable[[], bool], moments: random.Random
) -> None:
    """Start, wait until it works, kill at a random moment; again and again."""
    for _ in range(KILLS):
        process = make()
        try:
            process.await_ready()
            eventually(is_moving, "records move before the kill")
            time.sleep(moments.uniform(0, _LONGEST_LIFE_SECONDS))
            assert process.is_alive, process.text()
        finally:
            process.kill()


def grows(count: Callable[[], int]) -> Callable[[], bool]:
    """Tell if a count is higher than the last time it was asked."""
    last = [count()]

    def check() -> bool:
        before, last[0] = last[0], count()
        return last[0] > before

    return check


def published() -> int:
    return int(query(SHANDONG, "select count(*) from outbox where published_at is not null")[0][0])


def test_a_consumer_killed_ten_times_in_an_import_stream_loses_and_doubles_nothing(
    new_nodes: LocalStack, tmp_path: Path, chance: random.Random
) -> None:
    with (
        one(lambda: Process(new_nodes, SHANDONG, "relay")),
        streaming(SHANDONG, tmp_path) as stream,
    ):
        applied = grows(lambda: event_count(CENTRE))
        kill_often(lambda: Process(new_nodes, CENTRE, "consume"), applied, chance)
        stream.finish()
        with one(lambda: Process(new_nodes, CENTRE, "consume")):
            await_settled(new_nodes)
    assert event_count(CENTRE) == event_count(SHANDONG) == stream.events
    assert_sound(new_nodes)


def test_a_relay_killed_ten_times_in_an_import_stream_loses_and_doubles_nothing(
    new_nodes: LocalStack, tmp_path: Path, chance: random.Random
) -> None:
    with one(lambda: Process(new_nodes, CENTRE, "consume")):
        with streaming(SHANDONG, tmp_path) as stream:
            kill_often(lambda: Process(new_nodes, SHANDONG, "relay"), grows(published), chance)
        with one(lambda: Process(new_nodes, SHANDONG, "relay")):
            await_settled(new_nodes)
    assert event_count(CENTRE) == event_count(SHANDONG) == stream.events
    assert_sound(new_nodes)


def test_an_import_killed_again_and_again_goes_on_where_it_stopped(
    new_nodes: LocalStack, tmp_path: Path, chance: random.Random
) -> None:
    made = make_register(tmp_path / "register.csv", _LONG_REGISTER_ROWS)
    command = import_arguments(SHANDONG, made, tmp_path)
    for _ in range(IMPORT_KILLS):
        kill_while_importing(command, chance)
    events, done = event_count(SHANDONG), _imported_rows()
    assert 0 < done < made.registered, "the kills came too late to show anything"
    totals = petitionlink(*command).json()
    assert totals == made.totals | {
        "registered": made.registered - done,
        "duplicates": done,
        "events": made.events - events,
    }
    assert event_count(SHANDONG) == made.events
    with (
        one(lambda: Process(new_nodes, CENTRE, "consume")),
        one(lambda: Process(new_nodes, SHANDONG, "relay")),
    ):
        await_settled(new_nodes)
    assert event_count(CENTRE) == made.events
    assert_sound(new_nodes)


def kill_while_importing(command: list[str | Path], moments: random.Random) -> None:
    is_moving = grows(lambda: event_count(SHANDONG))
    process = subprocess.Popen(
        [PROGRAM, *command],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(is_moving, "rows are written before the kill")
        time.sleep(moments.uniform(0, _ONE_CHUNK_SECONDS))
    finally:
        process.kill()
        process.wait()


def _imported_rows() -> int:
    return int(query(SHANDONG, "select count(*) from imported_row")[0][0])
