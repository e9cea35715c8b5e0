"""A stack of its own is brought up, found, completed, broken, mended and taken down.

The tests share one stack, since a cold one takes seconds; each begins by bringing it up.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from support.world import WAIT_SECONDS, eventually

from node import localstack
from node.localstack import LocalStack, broker, postgres
from node.localstack.state import Kafka, Postgres, read_state
from node.runtime.errors import PetitionLinkError

TOPIC = "petition.uplink.110000"


@pytest.fixture(autouse=True)
def folder(module_stack_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PETITIONLINK_LOCAL", str(module_stack_folder))
    return module_stack_folder


def bring_up(
    nodes: Sequence[str] | None = ("110000",),
) -> tuple[LocalStack, list[str]]:
    said: list[str] = []
    return localstack.up(nodes, said.append), said


def take_down(purge: bool = False) -> list[str]:
    said: list[str] = []
    localstack.down(said.append, purge=purge)
    return said


def servers(folder: Path) -> tuple[Kafka, Postgres]:
    """Return the broker and the Postgres that the file of the stack names."""
    state = read_state(folder)
    assert state.kafka is not None
    assert state.postgres is not None
    return state.kafka, state.postgres


def pids(folder: Path) -> list[int]:
    """Return the process ids of the servers that run."""
    found = (broker.find(folder), postgres.find(Path(servers(folder)[1].folder)))
    return [pid for pid in found if pid is not None]


def loaded() -> LocalStack:
    stack = localstack.load()
    assert stack is not None
    return stack


def put_data(stack: LocalStack) -> None:
    producer = KafkaProducer(bootstrap_servers=stack.bootstrap_servers)
    producer.send(TOPIC, b"kept", partition=0).get(timeout=WAIT_SECONDS)
    producer.close()
    run_sql(stack, "create table kept (word text); insert into kept values ('kept')")


def data_are_there(stack: LocalStack) -> tuple[Any, Any]:
    partition = TopicPartition(TOPIC, 0)
    consumer = KafkaConsumer(bootstrap_servers=stack.bootstrap_servers)
    try:
        kept = consumer.end_offsets([partition])[partition]
    finally:
        consumer.close()
    return kept, run_sql(stack, "select count(*) from kept")


def run_sql(stack: LocalStack, statement: str) -> Any:
    connection = psycopg2.connect(stack.dsn("110000"))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]
    finally:
        connection.close()


def wait_until_gone(*gone: int) -> None:
    eventually(lambda: not any(read_command(pid) for pid in gone), "the servers are gone")


def read_command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def with_data(folder: Path) -> LocalStack:
    """The stack up, with one record in a topic and one row in a database."""
    stack, _ = bring_up()
    if run_sql(stack, "select to_regclass('kept') is null"):
        put_data(stack)
    return stack


def test_a_stack_that_is_up_is_found_and_left_as_it_is(folder: Path, with_data: LocalStack) -> None:
    before = pids(folder)
    assert len(before) == 2
    stack, said = bring_up(None)
    assert (stack, said, pids(folder)) == (with_data, [], before)


def test_a_further_node_is_added_to_a_stack_that_is_up(folder: Path, with_data: LocalStack) -> None:
    before = pids(folder)
    stack, said = bring_up(["370000"])
    assert stack.nodes == ["000000", "110000", "370000"]
    assert stack.http_port("110000") == with_data.http_port("110000")
    assert pids(folder) == before
    assert any("370000" in line for line in said)


def test_killed_servers_are_restarted_with_their_data(folder: Path, with_data: LocalStack) -> None:
    before = pids(folder)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until_gone(*before)
    assert localstack.health().down == ["broker", "Postgres"]
    mended, _ = bring_up()
    assert mended.bootstrap_servers == with_data.bootstrap_servers
    assert data_are_there(mended) == (1, 1)
    assert localstack.health().down == []


def test_a_stack_that_was_taken_down_is_not_found(folder: Path, with_data: LocalStack) -> None:
    assert take_down() == ["broker stopped", "Postgres stopped"]
    assert localstack.load() is None
    assert pids(folder) == []
    assert take_down() == ["nothing was running"]


def test_two_commands_at_once_bring_up_one_stack(folder: Path, with_data: LocalStack) -> None:
    take_down()
    command = [sys.executable, "-m", "node.entrypoints.cli", "stack", "up"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    texts = [process.communicate(timeout=WAIT_SECONDS)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert "".join(texts).count("starting the broker") == 1
    assert data_are_there(loaded()) == (1, 1)


def test_ports_taken_by_others_and_their_processes_are_left_alone(
    folder: Path, with_data: LocalStack
) -> None:
    take_down()
    kafka, server = servers(folder)
    taken = (kafka.port, kafka.controller_port, server.port)
    foreign = subprocess.Popen(["sleep", "60"])
    # As a crash leaves it, the number meanwhile given to somebody else.
    data = Path(server.folder) / "data"
    (data / "postmaster.pid").write_text(f"{foreign.pid}\n{data}\n")
    listeners = [socket.create_server(("127.0.0.1", port)) for port in taken]
    try:
        moved, _ = bring_up()
        kafka, server = servers(folder)
        assert not {kafka.port, kafka.controller_port, server.port} & set(taken)
        assert data_are_there(moved) == (1, 1)
        assert foreign.poll() is None
    finally:
        for listener in listeners:
            listener.close()
        foreign.kill()
        foreign.wait()


def test_a_lost_file_is_explained_and_purge_leaves_nothing_but_the_jars(folder: Path) -> None:
    stack, _ = bring_up()
    running = pids(folder)
    home = Path(servers(folder)[1].folder)
    (folder / "kafka" / "libs").mkdir()
    (folder / "stack.json").unlink()
    with pytest.raises(PetitionLinkError, match=r"stack\.json is gone.*--purge"):
        bring_up()
    take_down(purge=True)
    wait_until_gone(*running)
    assert not home.exists()
    assert not stack.key_folder.exists()
    left = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    assert left == ["kafka", "kafka/libs", "stack.lock"]
