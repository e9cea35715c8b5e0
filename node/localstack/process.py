"""Processes of the stack and their logs.

A process is ours if one of its arguments names our own folder. It is looked up in /proc before each
use, and signalled through a handle that the kernel ties to that very process, so that a process
number that was given to another program is never hit.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.05
_TAIL_BYTES = 64 * 1024


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    """Start a program in its own session, with output appended to `log`; return its process id."""
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
    """Return program and arguments; empty if there is no such process or it is a zombie."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode(errors="replace").split("\0")[:-1]


def find(program: str, argument: str) -> int | None:
    """Return the process that runs `program` with exactly this argument, if there is one."""
    return next((pid for pid in _all() if is_running(pid, program, argument)), None)


def is_running(pid: int, program: str, argument: str) -> bool:
    """Return whether this process runs `program` with exactly this argument."""
    command = command_line(pid)
    return bool(command) and Path(command[0]).name == program and argument in command[1:]


def at_work_in(folder: Path) -> list[int]:
    """Return the processes with this working folder, as far as we may see."""
    return [pid for pid in _all() if _working_folder(pid) == str(folder)]


def end(pid: int, program: str, argument: str, how: signal.Signals, limit_seconds: float) -> bool:
    """Signal the process if it is still ours, and wait; False if it still runs after the limit."""
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
    # If it is our child, nobody else collects its exit status.
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return True


def _all() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _working_folder(pid: int) -> str:
    try:
        return os.readlink(_PROC / str(pid) / "cwd")
    except OSError:
        return ""


def last_lines(paths: list[Path], count: int = 12) -> str:
    """Return the last lines of the files that exist, indented, each file under its name."""
    shown = []
    for path in paths:
        lines = _tail(path).splitlines()[-count:]
        if lines:
            shown += [f"last lines of {path}:", *(f"  {line}" for line in lines)]
    return "\n".join(shown)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
