"""What a command prints: data on stdout as one JSON document or a table, all else on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from node.entrypoints.cli.terminal import escaped, escaped_json

out = Console()
err = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """How data is printed."""

    table = "table"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How data is printed 输出格式.")]
NodeOption = Annotated[
    str | None,
    typer.Option("--node", metavar="CODE", help="A node of the local stack 本地节点, e.g. 370000."),
]


def say(text: str) -> None:
    """One line of progress for people, on stderr; what would act on the terminal is escaped."""
    err.print(escaped(text), soft_wrap=True, markup=False)


def print_data(data: Any, output: Format, as_table: Callable[[], Table | Iterable[Table]]) -> None:
    """Print `data` as one JSON document, or as what `as_table` makes of it."""
    if output is Format.json:
        print_json(data)
        return
    made = as_table()
    for table in [made] if isinstance(made, Table) else made:
        out.print(table)


def print_json(data: Any, *, indent: bool = True) -> None:
    """One JSON document on stdout; a single line without `indent`."""
    options = orjson.OPT_INDENT_2 if indent else 0
    typer.echo(escaped_json(orjson.dumps(data, option=options, default=str).decode()))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of plain cells; None is shown as a dash, brackets are no markup, codes are shown."""
    made = Table(title=Text(escaped(title), style="table.title"), title_justify="left")
    for name in columns:
        made.add_column(escaped(name), overflow="fold")
    for row in rows:
        made.add_row(*(Text("–" if cell is None else escaped(str(cell))) for cell in row))
    return made
