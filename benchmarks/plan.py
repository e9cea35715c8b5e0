"""What a run of the measurements shall do."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.progress import track

from node.entrypoints.cli.output import err


@dataclass(frozen=True)
class Plan:
    """How often each measurement is repeated and how many events it moves."""

    repeats: int
    events: int

    def runs(self, what: str = "runs") -> Iterable[int]:
        """The numbers of the repeats, with a progress bar."""
        return track(range(self.repeats), f"    {what}", console=err, transient=True)
