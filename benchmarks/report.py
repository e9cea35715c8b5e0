"""The table: printed with rich, and kept as benchmarks/RESULTS.md.

What a person wrote about it, in PROFILE.md, follows there: where the time goes, and why a line is
not met.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from benchmarks.figures import Figure, Goal, shown
from node.entrypoints.cli.output import table

FILE = Path(__file__).with_name("RESULTS.md")
PROFILE = Path(__file__).with_name("PROFILE.md")

_COLUMNS = (
    *("what", "median", "min–max", "unit", "reference (median)", "ratio (min–max)"),
    *("goal", "met"),
)
_MET = {True: "yes", False: "**no**", None: ""}
_PROFILE_HEAD = "## Where the time goes 时间去向"
_HEAD = """\
# Results 测量结果

Made by `{command}` ({when}, {repeats} runs each, median). Everything runs on one machine: the
product, Kafka, Postgres and the measuring itself. Ratios compare with a reference of the same run
and hold better than the figures beside them, which drift with the machine by about ± 20 %.

{machine}

"""


def printed(figures: Sequence[Figure], title: str) -> Table:
    """The table for the screen."""
    return table(title, _COLUMNS, [_cells(figure) for figure in figures])


class Run(NamedTuple):
    """How figures were made: the command, when, on what, and the versions of the peers, if any."""

    command: str
    when: str
    machine: str
    peers: str = ""


def write(figures: Sequence[Figure], run: Run) -> None:
    """Replace RESULTS.md."""
    FILE.write_text(document(figures, run, _profile()), encoding="utf-8")


def document(figures: Sequence[Figure], run: Run, profile: str = "") -> str:
    """RESULTS.md as text."""
    head = _HEAD.format(repeats=len(figures[0].values), **run._asdict())
    parts = [head + "\n".join(_lines(figures))]
    if run.peers:
        parts.append(f"Peers: {run.peers}.")
    if profile:
        parts += [_PROFILE_HEAD, profile]
    return "\n\n".join(parts) + "\n"


def _profile() -> str:
    return PROFILE.read_text(encoding="utf-8").strip() if PROFILE.is_file() else ""


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
        *("" if figure.goal is None else _wanted(figure.goal), _MET[figure.met]),
    )


def _wanted(goal: Goal) -> str:
    sign = "<" if goal.below else "≥"
    return f"ratio {sign} {goal.value:g}" if goal.of_ratio else f"{sign} {goal.value:,g}"


def _spread(values: Sequence[float]) -> str:
    return f"{shown(min(values))}–{shown(max(values))}"
