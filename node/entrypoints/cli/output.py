"""Output of commands: data on stdout as one JSON document or as tables, all else on stderr."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cases.nodes import NODES
from node.entrypoints.cli.terminal import escaped, escaped_json
from schemas.instants import CHINA

out = Console()
err = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """The formats of printed data."""

    table = "table"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How data is printed 输出格式.")]
_DATE = "%Y-%m-%d"
FROM_DAY = typer.Option("--from", formats=[_DATE], metavar="DATE", help="The first day 起始日.")
TO_DAY = typer.Option("--to", formats=[_DATE], metavar="DATE", help="The last day, inside 截止日.")


def say(text: str) -> None:
    """Print one line for people on stderr; what would act on the terminal is escaped."""
    err.print(escaped(text), soft_wrap=True, markup=False)


def print_data(data: Any, output: Format, as_table: Callable[[], Table | Iterable[Table]]) -> None:
    """Print `data` as one JSON document, or as the tables that `as_table` returns."""
    if output is Format.json:
        print_json(data)
        return
    tables = as_table()
    for each in [tables] if isinstance(tables, Table) else tables:
        out.print(each)


def print_json(data: Any, *, indent: bool = True) -> None:
    """Print one JSON document on stdout, on a single line without `indent`."""
    options = orjson.OPT_INDENT_2 if indent else 0
    typer.echo(escaped_json(orjson.dumps(data, option=options, default=str).decode()))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table of plain cells. None is shown as a dash; markup and escape codes as text."""
    made = Table(title=Text(escaped(title), style="table.title"), title_justify="left")
    for name in columns:
        made.add_column(escaped(name), overflow="fold")
    for row in rows:
        made.add_row(*(Text("–" if cell is None else escaped(str(cell))) for cell in row))
    return made


def totals_table(title: str, totals: dict[str, Any]) -> Table:
    """Return a table of one row, with the names as its columns."""
    return table(title, [*totals], [[*totals.values()]])


def node_name(code: str | None) -> str:
    """Return a node's code and Chinese name."""
    return f"{code} {NODES[code].chinese}" if code in NODES else (code or "nobody")


def china_second(instant: datetime) -> str:
    """Return day and second in China."""
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
