"""docs/query-plans.md: what was asked, how long it took, against which limit, by which plan."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from os import getloadavg
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.table import Table

from benchmarks.figures import shown
from benchmarks.questions import Question
from node.entrypoints.cli.output import table

FILE = Path(__file__).parents[1] / "docs" / "query-plans.md"

_COLUMNS = ("what", "median ms", "min–max", "limit ms", "")
_HEAD = """\
# Query plans 查询计划

Made by `python -m benchmarks.cases` ({when}): {cases:,} invented cases of one year in the centre's
database, with their clocks, evaluations and events (`benchmarks/million.sql`). Medians of seven
runs after a first one, of the product's own functions, from the call to the last row; the case by
id over 200 cases. Pages have 50 lines; a deep page begins after nine tenths of all cases.

{machine} · load {load:.1f} at the end

The cases are freshly vacuumed. While many rows are newer than the last autovacuum, index-only
scans look at those rows too; the figures then grow by what is new, not by what is old. A load
above 1 means that others used the two cores at the same time.
"""


class Answer(NamedTuple):
    """A question, the milliseconds of its runs, and its plans if they were asked for."""

    question: Question
    times: Sequence[float]
    plans: Sequence[str]

    @property
    def median(self) -> float:
        """The median of the runs."""
        return median(self.times)

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.median < self.question.limit_ms


def printed(answers: Sequence[Answer]) -> Table:
    """The table for the screen."""
    return table("queries", _COLUMNS, [_cells(answer) for answer in answers])


def write(answers: Sequence[Answer], machine: str, cases: int) -> None:
    """Replace docs/query-plans.md."""
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    load = getloadavg()[0]
    head = _HEAD.format(when=when, cases=cases, machine=machine, load=load)
    FILE.write_text(head + "\n".join(_lines(answers)) + "\n", encoding="utf-8")


def _lines(answers: Sequence[Answer]) -> Iterator[str]:
    for group in dict.fromkeys(answer.question.group for answer in answers):
        yield from ("", f"## {group.capitalize()}", "")
        several = [answer for answer in answers if answer.question.group == group]
        for cells in (_COLUMNS, ("---",) * len(_COLUMNS), *map(_cells, several)):
            yield f"| {' | '.join(cells)} |"
        for answer in several:
            yield from _plans(answer)


def _plans(answer: Answer) -> Iterator[str]:
    for number, plan in enumerate(answer.plans, 1):
        part = f" ({number} of {len(answer.plans)})" if len(answer.plans) > 1 else ""
        yield from ("", f"<details><summary>Plan: {answer.question.name}{part}</summary>", "")
        yield from ("```", plan, "```", "", "</details>")


def _cells(answer: Answer) -> tuple[str, ...]:
    spread = f"{shown(min(answer.times))}–{shown(max(answer.times))}"
    limit = answer.question.limit_ms
    verdict = "" if answer.kept else "**not kept**"
    return answer.question.name, shown(answer.median), spread, f"{limit:,.0f}", verdict
