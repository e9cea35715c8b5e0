"""Wrong use and a world that is not as it should be: one clear line, exit code 1 or 2."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn
from support.cli import Done, petitionlink, refused, run_cli
from support.spoilt import BEIJING, NOT_IN_THE_STACK, SHANDONG, Environment, silent

from node.keys.key_ring import make_local_keys
from node.localstack import LocalStack
from node.localstack.ports import free_port

# What every command that talks to a node's database needs of it.
_DATABASE_COMMANDS = [
    ("status",),
    ("import", "register.csv", "--mapping", "messages"),
    ("command", "-"),
    ("case", "show", "370000-20260401-7K3M9QXA"),
    ("case", "trace", "370000-20260401-7K3M9QXA"),
]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("import", "--bogus"), "--bogus"),
        (("import",), "file"),
        (("bogus",), "bogus"),
        (("case", "bogus"), "bogus"),
        (("status", "--format", "xml"), "xml"),
        (("status", "--node"), "--node"),
        (("demo", "--lives", "0"), "--lives"),
    ],
)
def test_what_the_command_line_does_not_know_is_wrong_usage(
    arguments: tuple[str, ...], names: str
) -> None:
    assert names in refused(silent(run_cli(*arguments)), code=2)


def test_wrong_usage_names_the_command_whose_help_explains_it() -> None:
    assert "see `petitionlink case show --help`" in run_cli("case", "show").err


@pytest.mark.parametrize("command", ["status", "run"])
def test_an_unknown_node_is_refused(stack: LocalStack, command: str) -> None:
    line = refused(silent(run_cli(command, "--node", "999999")))
    assert "'999999' is unknown" in line
    assert "370000" in line


@pytest.mark.parametrize("command", ["status", "run"])
def test_a_node_outside_the_local_stack_is_refused_with_the_cure(
    stack: LocalStack, command: str
) -> None:
    line = refused(silent(run_cli(command, "--node", NOT_IN_THE_STACK)))
    assert f"petitionlink stack up --nodes {NOT_IN_THE_STACK}" in line


def test_without_a_local_stack_a_node_cannot_be_picked(tmp_path: Path) -> None:
    away = {"PETITIONLINK_LOCAL": str(tmp_path)}
    line = refused(silent(run_cli("status", "--node", SHANDONG, settings=away)))
    assert "petitionlink stack up" in line


@pytest.mark.parametrize("command", [("status",), ("import", "register.csv"), ("run",)])
def test_without_any_settings_the_missing_ones_are_named(
    stack: LocalStack, here: Path, command: tuple[str, ...]
) -> None:
    line = refused(silent(run_cli(*command)))
    assert "PETITIONLINK_NODE is not set" in line
    assert "PETITIONLINK_POSTGRES_DSN is not set" in line
    assert "--node" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PETITIONLINK_METRICS_PORT", "many"),
        ("PETITIONLINK_LOG_LEVEL", "loud"),
        ("PETITIONLINK_BATCH_RECORDS", "0"),
        ("PETITIONLINK_NODE", "999999"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_and_no_secret_is_shown(
    good_environment: Environment, name: str, value: str
) -> None:
    line = refused(silent(run_cli("status", settings=good_environment | {name: value})))
    assert name in line
    assert good_environment["PETITIONLINK_POSTGRES_DSN"] not in line


def test_keys_that_are_not_there_are_named(
    good_environment: Environment, here: Path, tmp_path: Path
) -> None:
    without = good_environment | {"PETITIONLINK_KEY_FOLDER": str(tmp_path / "nowhere")}
    line = refused(silent(run_cli("command", "-", settings=without)))
    assert f"{SHANDONG}.key" in line


@pytest.mark.parametrize("command", [*_DATABASE_COMMANDS, ("migrate",)])
def test_a_postgres_that_is_away_is_one_line(
    stack: LocalStack, good_environment: Environment, here: Path, command: tuple[str, ...]
) -> None:
    away = _with_dsn(good_environment, make_dsn(stack.dsn(SHANDONG), port=free_port()))
    line = refused(silent(run_cli(*command, settings=away)))
    assert "Postgres is away" in line


@pytest.mark.parametrize("command", [("status",), ("migrate",), ("run",)])
def test_a_wrong_password_is_one_line_that_does_not_show_it(
    stack: LocalStack, good_environment: Environment, command: tuple[str, ...]
) -> None:
    wrong = _with_dsn(good_environment, make_dsn(stack.dsn(SHANDONG), password="guessed"))
    line = last_line(petitionlink(*command, settings=with_free_port(wrong)))
    assert "PETITIONLINK_POSTGRES_DSN" in line
    assert "guessed" not in line


@pytest.mark.parametrize("command", [*_DATABASE_COMMANDS, ("migrate",), ("run",)])
def test_the_database_of_another_node_is_refused(
    stack: LocalStack, good_environment: Environment, here: Path, command: tuple[str, ...]
) -> None:
    others = _with_dsn(good_environment, stack.dsn(BEIJING))
    line = last_line(petitionlink(*command, settings=with_free_port(others)))
    assert f"belongs to node {BEIJING}, not to {SHANDONG}" in line


@pytest.mark.parametrize("command", [*_DATABASE_COMMANDS, ("run",)])
def test_a_database_without_our_tables_is_refused_with_the_cure(
    stack: LocalStack, good_environment: Environment, here: Path, command: tuple[str, ...]
) -> None:
    empty = _with_dsn(good_environment, stack.postgres_dsn)  # the server's own, never migrated
    line = last_line(petitionlink(*command, settings=with_free_port(empty)))
    assert "petitionlink migrate" in line


def test_a_database_that_does_not_exist_is_one_line(
    stack: LocalStack, good_environment: Environment
) -> None:
    missing = _with_dsn(good_environment, make_dsn(stack.dsn(SHANDONG), dbname="nothing"))
    line = refused(silent(run_cli("status", settings=missing)))
    assert "nothing" in line
    assert "PETITIONLINK_POSTGRES_DSN" in line


def _with_dsn(settings: Environment, dsn: str) -> Environment:
    return settings | {"PETITIONLINK_POSTGRES_DSN": dsn}


def with_free_port(settings: Environment) -> Environment:
    ports = ("PETITIONLINK_METRICS_PORT", "PETITIONLINK_HTTP_PORT")
    return settings | {name: str(free_port()) for name in ports}


def last_line(done: Done) -> str:
    """A process logs before it gives up; what it gives up with is the last line, and one."""
    assert (done.code, done.out) == (1, ""), done
    assert "Traceback" not in done.err, done.err
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert errors == done.err.splitlines()[-1:], done.err
    return errors[0]


def test_status_without_a_broker_is_one_line_and_still_shows_what_postgres_knows(
    good_environment: Environment,
) -> None:
    away = _without_broker(good_environment)
    done = run_cli("status", "--format", "json", settings=away)
    assert "Kafka" in refused(done)
    shown = json.loads(done.out)
    assert shown["node"] == SHANDONG
    assert shown["partitions"] is None


def test_topics_without_a_broker_is_one_line(good_environment: Environment) -> None:
    line = refused(silent(run_cli("topics", "plan", settings=_without_broker(good_environment))))
    assert "Kafka" in line


def test_topics_that_were_never_made_stop_a_node_with_the_cure(
    good_environment: Environment, fresh_dsn: Callable[[str], str], tmp_path: Path
) -> None:
    make_local_keys(tmp_path / "keys", [NOT_IN_THE_STACK])
    new = _with_dsn(good_environment, fresh_dsn(NOT_IN_THE_STACK))
    own = {"PETITIONLINK_NODE": NOT_IN_THE_STACK, "PETITIONLINK_KEY_FOLDER": f"{tmp_path}/keys"}
    settings = with_free_port(new | own)
    for command in ("consume", "relay", "run"):
        line = last_line(petitionlink(command, settings=settings))
        assert NOT_IN_THE_STACK in line
        assert "petitionlink topics apply" in line


@pytest.mark.parametrize("command", ["run", "relay", "consume"])
def test_a_metrics_port_that_is_taken_is_named(
    good_environment: Environment, taken_port: int, command: str
) -> None:
    taken = good_environment | {"PETITIONLINK_METRICS_PORT": str(taken_port)}
    line = refused(silent(petitionlink(command, settings=taken)))
    assert str(taken_port) in line
    assert "PETITIONLINK_METRICS_PORT" in line


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        yield holder.getsockname()[1]


def _without_broker(settings: Environment) -> Environment:
    return settings | {"PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
