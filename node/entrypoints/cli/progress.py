"""The progress bar 进度 of what goes through a register row by row, on stderr."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from node.entrypoints.cli.output import err


def rows_progress() -> Progress:
    """A bar; a task has a total and a field `rows`."""
    return Progress(
        TextColumn("{task.fields[rows]} {task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )
