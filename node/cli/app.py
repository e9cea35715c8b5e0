"""All commands under one name, and the one place where an error becomes a line and a code."""

from __future__ import annotations

import sys

import typer

from node.cli import (
    case,
    command,
    database,
    deadletters,
    deadlines,
    demo,
    exporting,
    importing,
    indicators,
    query_code,
    rebuild,
    reconcile,
    recover,
    running,
    serving,
    stack,
    status,
    supervise,
    topics,
)
from node.cli.output import say
from node.errors import PetitionLinkError, classified

app = typer.Typer(
    name="petitionlink",
    help="信访互联: petition cases flow uniformly between the national centre and the provinces.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
stack.register(app)
topics.register(app)
for module in (database, running, serving, importing, exporting, command, case, status, demo):
    module.register(app)
for module in (
    indicators,
    deadlines,
    supervise,
    query_code,
    reconcile,
    recover,
    rebuild,
    deadletters,
):
    module.register(app)


_WRONG_USAGE = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main() -> None:
    """Run one command: exit code 0 done, 1 refused or failed with one line, 2 wrong usage."""
    try:
        # Not standalone, so that wrong usage too is one line and not a drawing of several.
        code = app(standalone_mode=False) or 0
        if code == _INTERRUPTED:
            say("interrupted")
        sys.exit(code)
    except PetitionLinkError as error:
        _fail(str(error))
    except typer.TyperException as error:
        _fail(_usage(error), _WRONG_USAGE)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        known = classified(error)
        if known is None:
            raise
        _fail(str(known))


def _usage(error: typer.TyperException) -> str:
    """What was wrong, and of which command; nothing if help was printed instead."""
    text = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{text}: see `{context.command_path} --help`" if text and context else text


def _fail(text: str, code: int = 1) -> None:
    if text:
        say(f"error: {text}")
    sys.exit(code)
