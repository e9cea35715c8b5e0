"""The journal of a soak: a line per phase, so that one that was killed goes on where it stood."""

from pathlib import Path
from typing import Any

import orjson
from soak.phases import Result


class Journal:
    """JSON lines: the plan first, then a phase each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, plan: dict[str, Any]) -> None:
        """Begin the journal of a new soak; the earlier one is deleted."""
        self._path.write_bytes(orjson.dumps(plan) + b"\n")

    def add(self, result: Result) -> None:
        """Record that a phase is over."""
        with self._path.open("ab") as file:
            file.write(orjson.dumps(result._asdict()) + b"\n")

    def plan(self) -> dict[str, Any] | None:
        """Return the plan of the soak that this journal is of."""
        lines = self._lines()
        return lines[0] if lines else None

    def results(self) -> list[Result]:
        """Return the phases that are over."""
        return [Result(**line) for line in self._lines()[1:]]

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        # A line that was cut off by a kill counts as not written.
        whole = self._path.read_bytes().rpartition(b"\n")[0]
        return [orjson.loads(line) for line in whole.splitlines()]
