"""Every command explains itself, quickly and without any settings."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from support.cli import Done, in_process, petitionlink

from node.entrypoints.cli.app import MODULES, app_for

# Processor time: a person waits for it. It takes half a second; others on the machine do not count.
_QUICK_SECONDS = 10.0


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, one in getattr(command, "commands", {}).items():
        yield from _commands(one, (*path, name))


ALL = list(_commands(typer.main.get_command(app_for(()))))


def test_there_are_the_commands_that_the_way_needs() -> None:
    needed = ["run", "relay", "consume", "serve", "import", "command", "status", "migrate"]
    groups = [("stack", "up"), ("topics", "plan"), ("case", "show"), ("case", "trace")]
    assert {*((name,) for name in needed), *groups} <= set(ALL)


def test_every_command_is_found_in_its_module() -> None:
    """Fails when the table lacks a command of a module: it would be wrong usage."""
    named = [command for commands in MODULES.values() for command in commands]
    assert sorted(path[0] for path in ALL if len(path) == 1) == sorted(named)


def test_a_command_loads_nothing_of_the_others() -> None:
    """Fails when all modules are loaded for every command, as before."""
    program = (
        "import sys; from node.entrypoints.cli.app import app_for; "
        "app_for(['migrate']); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name for name in done.stdout.split() if name.startswith("node.entrypoints.cli.")}
    own = ("app", "migrate", "node_settings", "output", "terminal")
    assert loaded == {f"node.entrypoints.cli.{name}" for name in own}
    assert "openpyxl" not in done.stdout


def _processor_seconds() -> float:
    """Return the processor time of all children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "petitionlink")
def test_help_is_printed_on_stdout_with_exit_code_0(path: tuple[str, ...]) -> None:
    _check_help(in_process(*path, "--help"), path)


def test_help_takes_little_processor_time() -> None:
    before = _processor_seconds()
    _check_help(petitionlink("status", "--help"), ("status",))
    assert _processor_seconds() - before < _QUICK_SECONDS


def _check_help(done: Done, path: tuple[str, ...]) -> None:
    assert (done.code, done.err) == (0, "")
    assert "Usage: petitionlink" in done.out
    assert " ".join(path) in done.out
