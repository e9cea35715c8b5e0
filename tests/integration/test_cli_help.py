"""Every command explains itself, quickly and without any settings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from support.cli import petitionlink

from node.cli.app import app

# A person waits for it; one second on an idle machine, and this much on a very busy one.
_QUICK_SECONDS = 10.0


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, one in getattr(command, "commands", {}).items():
        yield from _commands(one, (*path, name))


ALL = list(_commands(typer.main.get_command(app)))


def test_there_are_the_commands_that_the_way_needs() -> None:
    needed = ["run", "relay", "consume", "serve", "import", "command", "status", "migrate"]
    groups = [("stack", "up"), ("topics", "plan"), ("case", "show"), ("case", "trace")]
    assert {*((name,) for name in needed), *groups} <= set(ALL)


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "petitionlink")
def test_help_is_printed_on_stdout_with_exit_code_0(path: tuple[str, ...]) -> None:
    began = time.monotonic()
    done = petitionlink(*path, "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage: petitionlink" in done.out
    assert " ".join(path) in done.out
    assert time.monotonic() - began < _QUICK_SECONDS
