"""The progress bar 进度 of long commands, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from node.entrypoints.cli.output import err


@contextmanager
def counting(noun: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function that sets the bar to `done` of `total`; `total` is None while unknown."""
    with rows_progress() as bar:
        task = bar.add_task(noun, total=None, rows=0)
        yield lambda done, total: bar.update(task, completed=done, total=total, rows=done)


def rows_progress() -> Progress:
    """Return a bar; each task has a total and a field `rows`."""
    return Progress(
        TextColumn("{task.fields[rows]} {task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )
