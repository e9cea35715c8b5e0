"""A broker and a Postgres that the environment names are used and never stopped."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from node import localstack
from node.kafka import clients
from node.kafka.topics import apply as topics
from node.localstack import LocalStack, broker, ports, postgres
from node.runtime.errors import PetitionLinkError


@pytest.fixture
def outside(
    stack: LocalStack, stack_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The session's servers as outside ones for a further stack; what it makes there is removed."""
    monkeypatch.setenv("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", stack.bootstrap_servers)
    monkeypatch.setenv("PETITIONLINK_POSTGRES_DSN", stack.postgres_dsn)
    yield stack_folder
    connection = psycopg2.connect(stack.postgres_dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("drop database if exists petitionlink_120000")
    connection.close()
    client = clients.admin(localstack.cluster_settings(stack.bootstrap_servers))
    names = {topic.name for topic in topics.declared_topics(["120000"], local=True)}
    client.delete_topics(sorted(names & set(client.list_topics())))
    client.close()


def test_outside_servers_are_used_and_left_alone(outside: Path, stack: LocalStack) -> None:
    said: list[str] = []
    used = localstack.up(["120000"], said.append)
    assert used.bootstrap_servers == stack.bootstrap_servers
    assert "dbname=petitionlink_120000" in used.dsn("120000")
    assert broker.find(outside) is None
    assert not any(home.exists() for home in postgres.homes(outside, None))
    assert not any("starting" in line for line in said)
    assert [part.outside for part in localstack.health().servers] == [True, True]
    assert localstack.health().down == []

    localstack.down(said.append)
    assert localstack.load() is None
    assert any("broker" in line and "left alone" in line for line in said)
    assert broker.find(stack.folder) is not None
    assert ports.kafka_answers("127.0.0.1", int(stack.bootstrap_servers.rpartition(":")[2]))


def test_an_outside_broker_that_is_away_is_named(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with pytest.raises(PetitionLinkError, match=r"127\.0\.0\.1:1 does not answer"):
        localstack.up(["120000"], print)


def test_an_outside_postgres_that_is_away_is_named(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETITIONLINK_POSTGRES_DSN", "postgresql://somebody@127.0.0.1:1/postgres")
    with pytest.raises(PetitionLinkError, match="Postgres is away"):
        localstack.up(["120000"], print)


def test_a_stack_keeps_the_servers_it_began_with(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with pytest.raises(PetitionLinkError, match=r"--purge"):
        localstack.up(None, print)
    assert broker.find(stack.folder) is not None
