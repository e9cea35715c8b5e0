"""All commands under one name, and the one place where an error becomes a line and a code."""

from __future__ import annotations

import sys

import typer

from node.cli import case, command, database, demo, importing, running, stack, status, topics
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
for module in (database, running, importing, command, case, status, demo):
    module.register(app)


def main() -> None:
    """Run one command: exit code 0 done, 1 refused or failed with one line, 2 wrong usage."""
    try:
        app()
    except PetitionLinkError as error:
        _fail(error)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        known = classified(error)
        if known is None:
            raise
        _fail(known)


def _fail(error: PetitionLinkError) -> None:
    say(f"error: {error}")
    sys.exit(1)
