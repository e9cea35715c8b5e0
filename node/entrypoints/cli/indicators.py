"""`petitionlink indicators`, `rising` and `overview`: what the cases say in figures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from node.entrypoints.cli.figure_tables import facts_tables, indicator_tables, rising_tables
from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import Format, FormatOption, NodeOption, print_data
from node.postgres.connection import own_connected
from node.queries.figures.indicators import indicators
from node.queries.figures.overview import overview
from node.queries.figures.periods import today
from node.queries.figures.ratios import BASES
from node.queries.figures.rising import KEYS, rising

_DATE = "%Y-%m-%d"
_FROM = typer.Option("--from", formats=[_DATE], metavar="DATE", help="The first day 起始日.")
_TO = typer.Option("--to", formats=[_DATE], metavar="DATE", help="The last day, inside 截止日.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("indicators")(indicators_command)
    app.command("rising")(rising_command)
    app.command("overview")(overview_command)


def indicators_command(
    first: Annotated[datetime, _FROM],
    last: Annotated[datetime, _TO],
    by_date: Annotated[
        str, typer.Option(help=f"The date of the online share 网信占比: {', '.join(BASES)}.")
    ] = "registration",
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Indicators 指标 by node and in total; "n/a" where there was nothing to count.

    Days of China, first and last inside.
    """
    _choice("--by-date", by_date, BASES)
    settings = settings_for(node)
    with own_connected(settings, "indicators") as connection:
        found = indicators(connection, first.date(), last.date(), by_date=by_date)
    data = {"node": settings.node, **found}
    print_data(data, output, lambda: indicator_tables(data))


def rising_command(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days 天数.")] = 30,
    by: Annotated[
        str, typer.Option(help=f"What makes a matter 统计口径: {', '.join(KEYS)}.")
    ] = "category",
    last: Annotated[datetime | None, _TO] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many lines.")] = 50,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """What people raise of late 近期反映: the last days against as many before, rising first."""
    _choice("--by", by, KEYS)
    settings = settings_for(node)
    with own_connected(settings, "rising") as connection:
        until = last.date() if last else today()
        found = rising(connection, until, days, by, limit=limit)
    data = {"node": settings.node, **found}
    print_data(data, output, lambda: rising_tables(data))


def overview_command(
    first: Annotated[datetime | None, _FROM] = None,
    last: Annotated[datetime | None, _TO] = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """The facts of the interconnect 概况: connected nodes, online shares, landing, what needs care.

    Over all time, or over the days given.
    """
    settings = settings_for(node)
    with own_connected(settings, "overview") as connection:
        found = overview(connection, first and first.date(), last and last.date())
    data = {"node": settings.node, **found}
    print_data(data, output, lambda: facts_tables(data))


def _choice(option: str, value: str, among: dict[str, str]) -> None:
    if value not in among:
        raise typer.BadParameter(f"{option} {value}: choose of {', '.join(among)}")
