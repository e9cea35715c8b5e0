"""Wrong use and a world that is not as it should be: one clear line, exit code 1 or 2."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn
from support.cli import Done, as_environment, in_process, petitionlink, refused
from support.letters import kept, misread, states
from support.registers import make_register

from node.keys.key_ring import make_local_keys
from node.localstack import LocalStack
from node.localstack.ports import free_port
from node.localstack.stack import stack_settings
from node.runtime.settings import Settings

SHANDONG, BEIJING, NOT_IN_THE_STACK = "370000", "110000", "440000"
# What every command that talks to a node's database needs of it.
_DATABASE_COMMANDS = [
    ("status",),
    ("import", "register.csv", "--mapping", "messages"),
    ("command", "-"),
    ("case", "show", "370000-20260401-7K3M9QXA"),
    ("case", "trace", "370000-20260401-7K3M9QXA"),
]
Environment = dict[str, str]


@pytest.fixture(scope="module")
def good_environment(stack: LocalStack) -> Environment:
    """Good settings of a node; tests spoil one of them."""
    return as_environment(stack_settings(SHANDONG))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a good register."""
    make_register(tmp_path / "register.csv", 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def silent(done: Done) -> Done:
    assert done.out == ""
    return done


def json_or_silent(done: Done) -> Done:
    assert done.out == "" or json.loads(done.out)
    return done


# --- what is typed ---------------------------------------------------------------------------


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
    assert names in refused(silent(petitionlink(*arguments)), code=2)


def test_wrong_usage_names_the_command_whose_help_explains_it() -> None:
    assert "see `petitionlink case show --help`" in petitionlink("case", "show").err


# --- registers -------------------------------------------------------------------------------


def imported(good_environment: Environment, *arguments: str) -> str:
    done = petitionlink("import", *arguments, "--format", "json", settings=good_environment)
    return refused(silent(done))


def test_a_register_that_is_not_there_is_named(good_environment: Environment, here: Path) -> None:
    line = imported(good_environment, "missing.csv", "--mapping", "messages")
    assert "missing.csv" in line
    assert "check the path" in line


def test_a_folder_is_no_register(good_environment: Environment, here: Path) -> None:
    assert "is a folder" in imported(good_environment, str(here), "--mapping", "messages")


def test_a_register_with_a_misspelt_column_is_refused_with_the_column(
    good_environment: Environment, here: Path
) -> None:
    text = Path("register.csv").read_text(encoding="utf-8-sig")
    Path("misspelt.csv").write_text(text.replace("留言时间", "留言时问", 1), encoding="utf-8")
    line = imported(good_environment, "misspelt.csv", "--mapping", "messages")
    assert "留言时间" in line or "留言时问" in line


def test_a_register_under_another_mapping_is_refused(
    good_environment: Environment, here: Path
) -> None:
    assert "register.csv" in imported(good_environment, "register.csv", "--mapping", "register")


def test_an_unknown_mapping_is_refused_with_those_that_are_known(
    good_environment: Environment, here: Path
) -> None:
    line = imported(good_environment, "register.csv", "--mapping", "bogus")
    assert "'bogus'" in line
    assert "messages or register" in line


def test_a_reject_file_that_cannot_be_written_is_named(
    good_environment: Environment, here: Path
) -> None:
    line = imported(
        good_environment, "register.csv", "--mapping", "messages", "--rejects", "no/such/file"
    )
    assert "no/such/file" in line


def test_an_empty_file_is_no_register(good_environment: Environment, here: Path) -> None:
    Path("empty.csv").touch()
    assert "empty.csv" in imported(good_environment, "empty.csv", "--mapping", "messages")


# --- nodes and settings ----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "run"])
def test_an_unknown_node_is_refused(stack: LocalStack, command: str) -> None:
    line = refused(silent(petitionlink(command, "--node", "999999")))
    assert "'999999' is unknown" in line
    assert "370000" in line


@pytest.mark.parametrize("command", ["status", "run"])
def test_a_node_outside_the_local_stack_is_refused_with_the_cure(
    stack: LocalStack, command: str
) -> None:
    line = refused(silent(petitionlink(command, "--node", NOT_IN_THE_STACK)))
    assert f"petitionlink stack up --nodes {NOT_IN_THE_STACK}" in line


def test_without_a_local_stack_a_node_cannot_be_picked(tmp_path: Path) -> None:
    away = {"PETITIONLINK_LOCAL": str(tmp_path)}
    line = refused(silent(petitionlink("status", "--node", SHANDONG, settings=away)))
    assert "petitionlink stack up" in line


@pytest.mark.parametrize("command", [("status",), ("import", "register.csv"), ("run",)])
def test_without_any_settings_the_missing_ones_are_named(
    stack: LocalStack, here: Path, command: tuple[str, ...]
) -> None:
    line = refused(silent(petitionlink(*command)))
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
    line = refused(silent(petitionlink("status", settings=good_environment | {name: value})))
    assert name in line
    assert good_environment["PETITIONLINK_POSTGRES_DSN"] not in line


def test_keys_that_are_not_there_are_named(
    good_environment: Environment, here: Path, tmp_path: Path
) -> None:
    without = good_environment | {"PETITIONLINK_KEY_FOLDER": str(tmp_path / "nowhere")}
    line = refused(silent(petitionlink("command", "-", settings=without)))
    assert f"{SHANDONG}.key" in line


# --- Postgres --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*_DATABASE_COMMANDS, ("migrate",)])
def test_a_postgres_that_is_away_is_one_line(
    stack: LocalStack, good_environment: Environment, here: Path, command: tuple[str, ...]
) -> None:
    away = _with_dsn(good_environment, make_dsn(stack.dsn(SHANDONG), port=free_port()))
    line = refused(silent(petitionlink(*command, settings=away)))
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
    line = refused(silent(petitionlink("status", settings=missing)))
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


# --- Kafka and ports -------------------------------------------------------------------------


def test_status_without_a_broker_is_one_line_and_still_shows_what_postgres_knows(
    good_environment: Environment,
) -> None:
    away = _without_broker(good_environment)
    done = petitionlink("status", "--format", "json", settings=away)
    assert "Kafka" in refused(done)
    shown = json.loads(done.out)
    assert shown["node"] == SHANDONG
    assert shown["partitions"] is None


def test_topics_without_a_broker_is_one_line(good_environment: Environment) -> None:
    line = refused(
        silent(petitionlink("topics", "plan", settings=_without_broker(good_environment)))
    )
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


# --- commands --------------------------------------------------------------------------------

_REGISTER = {"command": "register", "title": "供暖不足", "channel": "web"}


@pytest.fixture
def desk(fresh_settings: Callable[[str], Settings]) -> Environment:
    """Shandong with an empty database."""
    return as_environment(fresh_settings(SHANDONG))


# A line, the rule that refuses it, and what the sentence names.
_REFUSED = [
    ('{"command": "register", ', "no_json", "JSON"),
    ('["register"]', "no_object", "object"),
    ('{"title": "无名"}', "command", "command"),
    ('{"command": "destroy"}', "unknown_command", "destroy"),
    (json.dumps(_REGISTER | {"colour": "red"}), "invalid", "colour"),
    (json.dumps(_REGISTER | {"title": ""}), "invalid", "title"),
    (json.dumps(_REGISTER | {"title": "长" * 201}), "invalid", "title"),
    (json.dumps(_REGISTER | {"channel": "pigeon"}), "invalid", "channel"),
    (json.dumps(_REGISTER | {"occurred_at": "gestern"}), "invalid", "occurred_at"),
    (json.dumps(_REGISTER | {"occurred_at": "2999-01-01T00:00:00"}), "in_the_future", "future"),
    (json.dumps(_REGISTER | {"confidential": True}), "state_secret", "confidential"),
    (json.dumps(_REGISTER | {"case_id": "a b"}), "case_id", "case_id"),
    (json.dumps(_REGISTER | {"title": "\ud800"}), "no_json", "JSON"),
    (json.dumps(_REGISTER | {"title": "a\0b"}), "invalid", "title"),
    ('{"command": "close"}', "case_id", "case_id"),
    ('{"command": "close", "case_id": "nowhere"}', "not_registered", "nowhere"),
]


def test_a_command_that_is_refused_says_why_on_its_result_line(desk: Environment) -> None:
    lines = "\n".join(line for line, _, _ in _REFUSED)
    done = petitionlink("command", "-", stdin=lines, settings=desk)
    results = done.lines()
    assert [result["line"] for result in results] == [*range(1, len(_REFUSED) + 1)]
    assert [result["ok"] for result in results] == [False] * len(_REFUSED)
    assert [result["rule"] for result in results] == [rule for _, rule, _ in _REFUSED]
    for result, (_, _, names) in zip(results, _REFUSED, strict=True):
        assert names in result["error"]
    assert f"commands refused: {len(_REFUSED)};" in refused(done)


def test_a_command_that_the_state_forbids_changes_nothing_and_stops_no_other(
    desk: Environment,
) -> None:
    case_id = "370000-20260401-7K3M9QXA"
    lines = [
        _REGISTER | {"case_id": case_id},
        {"command": "close", "case_id": case_id},
        {"command": "accept", "case_id": case_id},
        _REGISTER | {"case_id": case_id},
        {"command": "forward", "case_id": case_id, "to": "999999"},
    ]
    done = petitionlink("command", "-", stdin="\n".join(map(json.dumps, lines)), settings=desk)
    results = done.lines()
    assert [result["ok"] for result in results] == [True, False, True, False, False]
    rules = [result.get("rule") for result in results]
    assert rules == [None, "wrong_state", None, "already_registered", "wrong_state"]
    assert results[2]["version"] == 2
    assert "commands refused: 3;" in refused(done)


def test_a_command_file_that_is_not_there_is_named(desk: Environment, here: Path) -> None:
    line = refused(silent(petitionlink("command", "missing.jsonl", settings=desk)))
    assert "missing.jsonl" in line


@pytest.mark.parametrize("command", ["show", "trace"])
def test_an_unknown_case_is_one_line(desk: Environment, command: str) -> None:
    done = petitionlink("case", command, "nowhere", "--format", "json", settings=desk)
    assert "case nowhere is unknown to this node" in refused(json_or_silent(done))


# --- dead letters ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("show", "seven"), "should be a valid integer"),
        (("show", "0"), "greater than or equal to 1"),
        (("discard", "7", "--reason", "  "), "--reason is empty"),
        (("discard", "7"), "--reason"),
        (("replay",), "--all with --reason CODE"),
        (("replay", "7", "--all", "--reason", "malformed"), "--all with --reason CODE"),
        (("replay", "--all"), "--all with --reason CODE"),
        (("list", "--reason", "ugly"), "ugly is not a reason: choose from empty, too_short"),
        (("list", "--status", "lost"), "lost"),
    ],
)
def test_a_dead_letter_that_is_not_well_named_is_wrong_usage(
    arguments: tuple[str, ...], names: str
) -> None:
    line = refused(silent(in_process("deadletters", *arguments)), code=2)
    assert names in line
    assert f"petitionlink deadletters {arguments[0]} --help`" in line


def test_a_dead_letter_that_is_unknown_or_dealt_with_is_one_line_and_nothing_changes(
    fresh_settings: Callable[[str], Settings],
) -> None:
    node = fresh_settings(SHANDONG)
    (id_,) = kept(node, misread("petition.downlink.370000", 0, (None, b"\1", [])))
    environment = as_environment(node)
    for command in (("show", "999"), ("replay", "999"), ("discard", "999", "--reason", "x")):
        line = refused(in_process("deadletters", *command, settings=environment))
        assert line.startswith("dead letter 999 is unknown to this node: `petitionlink deadletters")
    assert (
        in_process("deadletters", "discard", str(id_), "--reason", "x", settings=environment)[0]
        == 0
    )
    before = states(node)
    for command in (("replay", str(id_)), ("discard", str(id_), "--reason", "again")):
        line = refused(in_process("deadletters", *command, settings=environment))
        assert line.startswith(f"dead letter {id_} was discarded already, by system at ")
        assert line.endswith("nothing was changed")
    assert states(node) == before
