"""`python -m benchmarks`: run the measurements, print the table, write RESULTS.md."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from benchmarks import (
    cases,
    catch_up,
    comparison,
    import_rate,
    latency,
    picture,
    relay_memory,
    relay_rate,
    report,
    scale,
)
from benchmarks.figures import Figure
from benchmarks.home import bench_stack
from benchmarks.machine import machine
from benchmarks.peers import versions
from benchmarks.plan import Plan
from node.entrypoints.cli.output import out, say
from node.localstack import LocalStack
from node.runtime.errors import PetitionLinkError

_EVENTS = 60_000
_FULL_EVENTS = 300_000

Measure = Callable[[LocalStack, Plan], list[Figure]]
_MEASURES: dict[str, Measure] = {
    "import": import_rate.measure,
    "catch-up": catch_up.measure,
    "comparison": comparison.measure,
    "relay": relay_rate.measure,
    "relay-memory": relay_memory.measure,
    "latency": latency.measure,
    "growth": scale.measure,
    "cases": cases.measure,
}
# A million cases take minutes to make.
_ONLY_FULL = {"cases"}


def main(
    only: Annotated[
        str, typer.Option(help=f"Some of {','.join(_MEASURES)}; RESULTS.md is left alone then.")
    ] = "",
    runs: Annotated[int, typer.Option(min=1, help="How often each is repeated.")] = 3,
    events: Annotated[int | None, typer.Option(min=20_000, help="Events to catch up.")] = None,
) -> None:
    """Measure the product on a Kafka and Postgres of its own. FULL=1: five times the events."""
    full = os.environ.get("FULL") == "1"
    plan = Plan(runs, events or (_FULL_EVENTS if full else _EVENTS))
    usual = [name for name in _MEASURES if full or name not in _ONLY_FULL]
    chosen = _chosen(only) or usual
    figures: list[Figure] = []
    with bench_stack(say) as stack:
        line = machine(stack)
        say(line)
        try:
            for name in chosen:
                say(name)
                figures += _MEASURES[name](stack, plan)
        finally:  # what was measured before one failed is shown
            out.print(report.printed(figures, f"PetitionLink: median of {runs} runs"))
            say(line)
    if chosen == usual:
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        command = "make bench FULL=1" if full else "make bench"
        report.write(figures, report.Run(command, when, line, versions()))
        picture.write(figures, line)
        say(f"written to {report.FILE.name} and {picture.FILE.name}")


def _chosen(only: str) -> list[str]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in _MEASURES]
    if unknown:
        raise typer.BadParameter(f"no measurement {unknown[0]}: choose from {', '.join(_MEASURES)}")
    return names


if __name__ == "__main__":
    try:
        typer.run(main)
    except PetitionLinkError as error:
        say(f"error: {error}")
        sys.exit(1)
