"""Wall clocks of node processes that a test sets ahead or back while they run."""

import os
from pathlib import Path

_PATCH = Path(__file__).parent / "moved_clock"


class Clocks:
    """The clock of each node, in seconds ahead of the machine's; kept in a file for each node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def set(self, node: str, seconds: int) -> None:
        """Set the clock of the node's processes; they see it within a second."""
        fresh = self._folder / f"{node}.new"
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self._folder / node)

    def environment(self, node: str) -> dict[str, str]:
        """Return what a process of the node needs in its environment."""
        file = self._folder / node
        if not file.exists():
            self.set(node, 0)
        path = [str(_PATCH), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(path), "MOVED_CLOCK_FILE": str(file)}
