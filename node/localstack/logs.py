"""The end of a log file, for the message that says why a server did not start."""

from __future__ import annotations

from pathlib import Path

_TAIL_BYTES = 64 * 1024


def last_lines(paths: list[Path], count: int = 12) -> str:
    """The last lines of the files that exist, indented, each file under its name."""
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
