"""The stack's file, and the stack as others see it."""

import stat
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from node import localstack
from node.localstack import LocalStack
from node.localstack.services import with_outside, without_outside
from node.localstack.state import Kafka, Ports, Postgres, StackState, read_state, write_state
from node.runtime.errors import PetitionLinkError

OWN = StackState(
    up=True,
    kafka=Kafka(bootstrap_servers="127.0.0.1:1234", outside=False, controller_port=1235),
    postgres=Postgres(
        dsn="host=127.0.0.1 port=1236 user=u password=secret dbname=postgres",
        outside=False,
        folder="/somewhere",
        port=1236,
    ),
    nodes={"000000": Ports(http=1237, metrics=1238), "370000": Ports(http=1239, metrics=1240)},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PETITIONLINK_LOCAL", str(tmp_path))
    for name in ("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", "PETITIONLINK_POSTGRES_DSN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def loaded() -> LocalStack:
    stack = localstack.load()
    assert stack is not None
    return stack


def test_the_file_comes_back_as_it_was_and_only_its_owner_reads_it(folder: Path) -> None:
    write_state(folder, OWN)
    assert read_state(folder) == OWN
    assert stat.S_IMODE((folder / "stack.json").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["stack.json"]


def test_every_port_that_was_promised_is_known() -> None:
    assert OWN.ports() == set(range(1234, 1241))


def test_the_stack_gives_each_node_its_own(folder: Path) -> None:
    write_state(folder, OWN)
    stack = loaded()
    assert stack.bootstrap_servers == "127.0.0.1:1234"
    assert stack.nodes == ["000000", "370000"]
    assert parse_dsn(stack.dsn("370000"))["dbname"] == "petitionlink_370000"
    assert (stack.http_port("370000"), stack.metrics_port("370000")) == (1239, 1240)
    assert stack.key_folder == folder / "keys"


def test_the_stack_shows_no_password(folder: Path) -> None:
    write_state(folder, OWN)
    assert "secret" not in repr(localstack.load())


def test_a_node_that_is_not_set_up_names_the_cure(folder: Path) -> None:
    write_state(folder, OWN)
    cure = "node 440000 is not in the local stack: run `petitionlink stack up --nodes 440000`"
    with pytest.raises(PetitionLinkError, match=cure):
        loaded().dsn("440000")
    with pytest.raises(PetitionLinkError, match="node '1' is unknown"):
        loaded().dsn("1")


@pytest.mark.parametrize("state", [StackState(), OWN.model_copy(update={"up": False})])
def test_a_stack_that_is_not_up_is_none(folder: Path, state: StackState) -> None:
    assert localstack.load() is None
    write_state(folder, state)
    assert localstack.load() is None


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "stack.json").write_text("{}}")
    with pytest.raises(PetitionLinkError, match=r"stack\.json is not the file of a local stack"):
        localstack.load()


def test_outside_servers_are_taken_from_the_environment_and_forgotten_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", "one:9092,two:9092")
    monkeypatch.setenv("PETITIONLINK_POSTGRES_DSN", "postgresql://u:p@there/postgres")
    state = with_outside(StackState())
    assert state.kafka == Kafka(bootstrap_servers="one:9092,two:9092", outside=True)
    assert state.postgres is not None
    assert state.postgres.outside
    assert with_outside(state) == state
    assert state.ports() == set()
    assert without_outside(state) == StackState()
    assert without_outside(OWN) == OWN


def test_addresses_of_the_stacks_own_servers_are_no_outside_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1234")
    monkeypatch.setenv("PETITIONLINK_POSTGRES_DSN", "postgresql://u:p@127.0.0.1:1236/other")
    assert with_outside(OWN) == OWN


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "else:9092", r"broker is 127\.0\.0\.1:1234 and .* --purge"),
        ("POSTGRES_DSN", "host=else", r"Postgres is 127\.0\.0\.1:1236 and .* --purge"),
        ("POSTGRES_DSN", "://", "PETITIONLINK_POSTGRES_DSN is no Postgres address"),
    ],
)
def test_other_servers_under_data_that_are_there_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"PETITIONLINK_{name}", value)
    with pytest.raises(PetitionLinkError, match=message):
        with_outside(OWN)
