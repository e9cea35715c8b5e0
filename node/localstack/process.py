"""Processes of the stack, known by their command line and never by a remembered number.

A process is ours if one of its arguments names our own folder. It is found anew in /proc before
each use, and a signal goes through a handle that the kernel ties to that very process, so a
number that was given to somebody else meanwhile is never hit.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.05


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    """Start a program in a session of its own, output appended to `log`; its process id."""
    write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        command[0],
        list(command),
        dict(environment),
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )


def command_line(pid: int) -> list[str]:
    """Program and arguments; empty if there is no such process or it is dead but unburied."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode(errors="replace").split("\0")[:-1]


def find(program: str, argument: str) -> int | None:
    """The process that runs `program` with exactly this argument, if there is one."""
    return next((pid for pid in _all() if is_running(pid, program, argument)), None)


def is_running(pid: int, program: str, argument: str) -> bool:
    """Whether this process runs `program` with exactly this argument."""
    command = command_line(pid)
    return bool(command) and Path(command[0]).name == program and argument in command[1:]


def at_work_in(folder: Path) -> list[int]:
    """The processes whose working folder this is, as far as we may see."""
    return [pid for pid in _all() if _working_folder(pid) == str(folder)]


def end(pid: int, program: str, argument: str, how: signal.Signals, limit_seconds: float) -> bool:
    """Signal our process and wait; False if it still runs after the limit.

    Nothing is signalled unless the process is (still) ours.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if is_running(pid, program, argument):
            signal.pidfd_send_signal(handle, how)
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)
    return _gone_within(pid, program, argument, limit_seconds)


def _gone_within(pid: int, program: str, argument: str, limit_seconds: float) -> bool:
    deadline = time.monotonic() + limit_seconds
    while is_running(pid, program, argument):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    _bury(pid)
    return True


def _bury(pid: int) -> None:
    """Collect the exit status if it is our child; nobody else will while we live."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _all() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _working_folder(pid: int) -> str:
    try:
        return os.readlink(_PROC / str(pid) / "cwd")
    except OSError:
        return ""
