"""A node with a million cases 百万件: how long lists, deadlines and indicators take there.

`python -m benchmarks.cases` makes them, measures and writes docs/query-plans.md; about five
minutes and 9 GB of disk, given back at the end. `make bench FULL=1` does it too.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from benchmarks import plan_report
from benchmarks.figures import Figure, Goal
from benchmarks.home import bench_stack
from benchmarks.machine import machine
from benchmarks.million import fill
from benchmarks.plan import Plan
from benchmarks.plan_report import Answer
from benchmarks.plans import plans_of
from benchmarks.questions import Question, questions
from cases.nodes import NATIONAL
from node.entrypoints.cli.output import out, say
from node.localstack import LocalStack
from node.postgres.connection import connect
from node.runtime.errors import PetitionLinkError

_CASES = 1_000_000
# A case by id is asked for often, to have a median over many cases.
_QUICK_MS, _QUICK_TIMES, _TIMES = 10, 200, 7


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """The slowest question of each group at the centre; all of them go to docs/query-plans.md."""
    answers = _answers(stack, _CASES)
    plan_report.write(answers, machine(stack), _CASES)
    return [_figure(group, answers) for group in dict.fromkeys(a.question.group for a in answers)]


def _answers(stack: LocalStack, cases: int) -> list[Answer]:
    dsn = stack.dsn(NATIONAL)
    fill(dsn, cases, datetime.now(UTC), say)
    with closing(connect(dsn, "bench")) as connection:
        answers = []
        for question in questions(connection):
            times = _timed(question)
            plans = plans_of(connection, question.ask) if question.plan else []
            answers.append(Answer(question, times, plans))
    return answers


def _timed(question: Question) -> Sequence[float]:
    """Milliseconds of each run after a first one, which fills the caches."""
    _ = _milliseconds(question.ask)
    times = _QUICK_TIMES if question.limit_ms < _QUICK_MS else _TIMES
    return [_milliseconds(question.ask) for _ in range(times)]


def _milliseconds(ask: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    ask()
    return (time.perf_counter() - begun) * 1000


def _figure(group: str, answers: list[Answer]) -> Figure:
    several = [one for one in answers if one.question.group == group]
    slowest = max(several, key=lambda one: one.median / one.question.limit_ms)
    about = f"{_CASES:,} cases; the slowest of its kind for its limit: {slowest.question.name}"
    goal = Goal(slowest.question.limit_ms, of_ratio=False, below=True)
    return Figure(f"query, {group}", "ms", slowest.times, about, goal=goal)


def main(
    cases: Annotated[int, typer.Option(min=1_000, help="How many cases.")] = _CASES,
) -> None:
    """Make the cases, measure, write docs/query-plans.md."""
    with bench_stack(say) as stack:
        answers = _answers(stack, cases)
        plan_report.write(answers, machine(stack), cases)
    out.print(plan_report.printed(answers))
    say(f"written to {plan_report.FILE.name}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except PetitionLinkError as error:
        say(f"error: {error}")
        sys.exit(1)
