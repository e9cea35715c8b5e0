"""The real `petitionlink` in processes of its own: what a person types, and what comes back."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import orjson
from support.world import WAIT_SECONDS

from node.entrypoints.cli.app import main
from node.runtime.settings import Settings

PROGRAM = Path(sys.executable).with_name("petitionlink")
_OF_OWN_PROCESS = ("import", "run", "relay", "consume", "serve", "demo", "rebuild")


class Done(NamedTuple):
    """The output and exit code of a command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the one JSON document on stdout; fails if there is none, or anything beside it."""
        assert self.code == 0, self
        return orjson.loads(self.out)

    def lines(self) -> list[Any]:
        """Return the JSON lines on stdout."""
        return [orjson.loads(line) for line in self.out.splitlines()]


def petitionlink(
    *arguments: str | Path,
    stdin: str | bytes = "",
    settings: Mapping[str, str] | None = None,
    seconds: float = WAIT_SECONDS,
) -> Done:
    """Run a command to its end; `settings` are added to the environment."""
    done = subprocess.run(
        [PROGRAM, *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        env={**environment(), **(settings or {})},
        timeout=seconds,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def run_cli(*arguments: str, stdin: str = "", settings: Mapping[str, str] | None = None) -> Done:
    """Run a command in a process of its own only if it starts threads or processes."""
    if arguments[:1] in {(name,) for name in _OF_OWN_PROCESS}:
        return petitionlink(*arguments, stdin=stdin, settings=settings)
    return in_process(*arguments, stdin=stdin, settings=settings)


def in_process(*arguments: str, stdin: str = "", settings: Mapping[str, str] | None = None) -> Done:
    """Do the same without a process of its own, in a twentieth of the time."""
    out, err = io.StringIO(), io.StringIO()
    given = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    with (
        mock.patch.dict(os.environ, settings or {}),
        mock.patch.object(sys, "argv", ["petitionlink", *arguments]),
        mock.patch.object(sys, "stdin", given),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def environment() -> dict[str, str]:
    """Return this process's environment; children may keep their byte code, for there are many."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the settings of a node as a service manager would give them, without any local
    stack."""
    return {
        "PETITIONLINK_NODE": settings.node,
        "PETITIONLINK_POSTGRES_DSN": settings.dsn,
        "PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "PETITIONLINK_HTTP_PORT": str(settings.http_port),
        "PETITIONLINK_METRICS_PORT": str(settings.metrics_port),
        "PETITIONLINK_KEY_FOLDER": str(settings.key_folder),
    }


def refused(done: Done, code: int = 1) -> str:
    """Return the one line that says why a command was refused; fails if it is not exactly one."""
    assert done.code == code, done
    assert "Traceback" not in done.err, done.err
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: "), done.err
    return lines[0].removeprefix("error: ")
