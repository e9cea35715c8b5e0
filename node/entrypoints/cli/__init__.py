"""The console script `petitionlink` 命令行: the composition root.

Nothing imports this package. Each module has one group of commands: it reads settings, builds what
the command needs, runs it and prints the result.
"""

import signal
import sys

__all__ = ["main"]

_LONG_LIVED = frozenset({"run", "relay", "consume", "serve"})


def main() -> None:
    """Run the command of the command line."""
    # Loading takes a second, in which the process has nothing to finish: SIGTERM is a clean end.
    if _LONG_LIVED.intersection(sys.argv[1:2]):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from node.entrypoints.cli.app import main as run_command

    run_command()
