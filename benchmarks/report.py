"""The table: printed with rich, and kept as benchmarks/RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.figures import Figure, shown
from node.cli.output import table

FILE = Path(__file__).with_name("RESULTS.md")

_COLUMNS = ("what", "median", "min–max", "unit", "reference (median)", "ratio (min–max)")
_HEAD = """\
# Results 测量结果

Made by `make bench` ({when}, {repeats} runs each, median). Everything runs on one machine: the
product, Kafka, Postgres and the measuring itself. Ratios compare with a reference of the same run
and hold better than the figures beside them, which drift with the machine by about ± 20 %.

{machine}

"""


def printed(figures: Sequence[Figure], title: str) -> Table:
    """The table for the screen."""
    return table(title, _COLUMNS, [_cells(figure) for figure in figures])


def write(figures: Sequence[Figure], machine: str, when: str) -> None:
    """Replace RESULTS.md."""
    head = _HEAD.format(when=when, repeats=len(figures[0].values), machine=machine)
    FILE.write_text(head + "\n".join(_lines(figures)) + "\n", encoding="utf-8")


def _lines(figures: Sequence[Figure]) -> Iterator[str]:
    for cells in (_COLUMNS, ("---",) * len(_COLUMNS), *map(_cells, figures)):
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield "How each was measured:"
    yield ""
    by_about: dict[str, list[str]] = {}
    for figure in figures:
        by_about.setdefault(figure.about, []).append(figure.what)
    for about, several in by_about.items():
        yield f"- {'; '.join(several)}: {about}."


def _cells(figure: Figure) -> tuple[str, ...]:
    reference = ratio = ""
    if figure.references:
        pace = Figure(figure.reference, figure.unit, figure.references)
        reference = f"{figure.reference}: {shown(pace.median)} ({_spread(figure.references)})"
        ratios = Figure("", "", figure.ratios)
        ratio = f"{ratios.median:.2f} ({min(figure.ratios):.2f}–{max(figure.ratios):.2f})"
    return (
        *(figure.what, shown(figure.median), _spread(figure.values), figure.unit),
        *(reference, ratio),
    )


def _spread(values: Sequence[float]) -> str:
    return f"{shown(min(values))}–{shown(max(values))}"
