"""The console script `petitionlink` 命令行: the composition root.

Only this package imports both producers and consumers, and nothing imports it. Each module has
one group of commands; it reads settings, builds what it needs, runs it and prints the result.
"""

from __future__ import annotations

from node.cli.app import main

__all__ = ["main"]
