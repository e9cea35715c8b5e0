"""A register, command or dead letter that is refused: one clear line, exit code 1 or 2."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import as_environment, in_process, petitionlink, refused, run_cli
from support.letters import kept, misread, states
from support.spoilt import SHANDONG, Environment, json_or_silent, silent

from node.runtime.settings import Settings


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
    done = run_cli("command", "-", stdin=lines, settings=desk)
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
    done = run_cli("command", "-", stdin="\n".join(map(json.dumps, lines)), settings=desk)
    results = done.lines()
    assert [result["ok"] for result in results] == [True, False, True, False, False]
    rules = [result.get("rule") for result in results]
    assert rules == [None, "wrong_state", None, "already_registered", "wrong_state"]
    assert results[2]["version"] == 2
    assert "commands refused: 3;" in refused(done)


def test_a_command_file_that_is_not_there_is_named(desk: Environment, here: Path) -> None:
    line = refused(silent(run_cli("command", "missing.jsonl", settings=desk)))
    assert "missing.jsonl" in line


@pytest.mark.parametrize("command", ["show", "trace"])
def test_an_unknown_case_is_one_line(desk: Environment, command: str) -> None:
    done = run_cli("case", command, "nowhere", "--format", "json", settings=desk)
    assert "case nowhere is unknown to this node" in refused(json_or_silent(done))


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
