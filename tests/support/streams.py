"""A stream of imports at one node, under which processes are killed, stopped and starved."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.cli import petitionlink
from support.registers import Made, make_register

# Small registers one after the other: a stream that outlasts what is done to it.
_ROWS_PER_REGISTER = 120


class Stream(threading.Thread):
    """Imports registers of new rows at a node until it is told to end; counts the events."""

    def __init__(self, node: str, folder: Path) -> None:
        super().__init__(daemon=True)
        self._node = node
        self._folder = folder
        self._end = threading.Event()
        self.events = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._end.is_set():
                self.events += import_new_rows(self._node, self._folder, _ROWS_PER_REGISTER)
        except BaseException as error:
            self.failure = error

    def finish(self) -> None:
        """End after the register in hand; raise what an import failed with."""
        self._end.set()
        self.join()
        if self.failure:
            raise self.failure


@contextmanager
def streaming(node: str, folder: Path) -> Iterator[Stream]:
    """Run a stream inside the block."""
    stream = Stream(node, folder)
    stream.start()
    try:
        yield stream
    finally:
        stream.finish()


def import_new_rows(node: str, folder: Path, rows: int) -> int:
    """Import a register whose rows nobody has seen; the number of events."""
    name = f"{time.monotonic_ns()}-"
    made = make_register(folder / f"{name}.csv", rows, prefix=name)
    totals = petitionlink(*import_arguments(node, made, folder)).json()
    assert totals == made.totals
    return made.events


def import_arguments(node: str, made: Made, folder: Path) -> list[str | Path]:
    """Return the command line that imports a register, totals as JSON."""
    return [
        *("import", made.path, "--mapping", "messages", "--node", node, "--format", "json"),
        *("--rejects", folder / "rejects.csv"),
    ]
