"""docs/commands.md says what the code does: its tables are held to the rules and the schemas."""

from pathlib import Path

from support.commands_document import CHINESE, command_rows, refusal_rows

from cases.case import State
from cases.vocabulary.commands import COMMANDS

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
LINES = TEXT.splitlines()


def test_every_command_is_there_with_who_when_fields_and_refusals() -> None:
    assert list(CHINESE) == list(COMMANDS)
    shown = [line for line in LINES if line.startswith("| `") and line.count("|") == 6]
    assert shown == command_rows()


def test_every_refusal_is_there_with_its_articles() -> None:
    shown = [line for line in LINES if line.startswith("| `") and line.count("|") == 4]
    assert [line for line in shown if "| —" in line or "条" in line] == refusal_rows()


def test_every_state_is_there() -> None:
    states = {value for name, value in vars(State).items() if name.isupper()}
    assert all(f"`{state}`" in TEXT for state in states)
