"""The program of all commands; here alone an error becomes a line and an exit code."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

import typer

from node.entrypoints.cli.output import say
from node.runtime.errors import PetitionLinkError, classified

# The commands of each module, in the order of the help.
MODULES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "stack": ("stack",),
        "topics": ("topics",),
        "migrate": ("migrate",),
        "run": ("run", "relay", "consume", "serve"),
        "import_register": ("import",),
        "export": ("export", "template"),
        "command": ("command",),
        "case": ("case",),
        "status": ("status",),
        "demo": ("demo",),
        "indicators": ("indicators", "rising", "overview"),
        "deadlines": ("deadlines",),
        "supervise": ("supervise",),
        "query_code": ("query-code",),
        "reconcile": ("reconcile", "audit"),
        "recover": ("recover",),
        "rebuild": ("rebuild",),
        "verify": ("verify",),
        "dead_letters": ("deadletters",),
    }
)


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the program for this command line.

    It has the module of the command alone, which loads in half the time, or all modules if the
    first word is no command.
    """
    app = typer.Typer(
        name="petitionlink",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_program)
    modules = [name for name, commands in MODULES.items() if {*arguments[:1]} & {*commands}]
    for name in modules or MODULES:
        app.add_typer(import_module(f"node.entrypoints.cli.{name}").app)
    return app


def _program() -> None:
    """信访互联: petition cases flow uniformly between the national centre and the provinces."""


_WRONG_USAGE = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main() -> None:
    """Run one command; the exit code is 1 if it was refused or failed, 2 for wrong usage."""
    try:
        # With standalone_mode, wrong usage would be drawn in several lines.
        code = app_for(sys.argv[1:])(prog_name="petitionlink", standalone_mode=False) or 0
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
    """Return what was wrong, and the command's help; empty if help was printed instead."""
    text = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{text}: see `{context.command_path} --help`" if text and context else text


def _fail(text: str, code: int = 1) -> None:
    if text:
        say(f"error: {text}")
    sys.exit(code)
