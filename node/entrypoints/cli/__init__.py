"""The console script `petitionlink` 命令行: the composition root.

Only this package imports both producers and consumers, and nothing imports it. Each module has
one group of commands; it reads settings, builds what it needs, runs it and prints the result.
"""

from __future__ import annotations

import signal
import sys

__all__ = ["main"]

_LONG_LIVED = frozenset({"run", "relay", "consume", "serve"})


def main() -> None:
    """Run the command of the command line; a process of a node may be ended from the first moment.

    Loading everything takes a second, in which nothing is in hand: SIGTERM then is a clean end.
    """
    if _LONG_LIVED.intersection(sys.argv[1:2]):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from node.entrypoints.cli.app import main as run_command

    run_command()
