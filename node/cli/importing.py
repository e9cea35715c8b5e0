"""`petitionlink import`: a case register becomes events."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from node.cli.output import Format, FormatOption, NodeOption, err, print_data, say, table
from node.errors import PetitionLinkError
from node.postgres import own_connected
from node.settings import load_settings
from producers.importing import Totals, import_rows
from producers.office import open_office
from producers.register import RejectWriter, load_mapping, read_register, reject_path

MappingOption = Annotated[
    str,
    typer.Option("--mapping", help="A shipped mapping (register, messages) or a TOML file 列映射."),
]
RejectsOption = Annotated[
    Path | None,
    typer.Option("--rejects", help="Where refused rows go; beside FILE unless given 退回文件."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_command)


def import_command(
    file: Annotated[Path, typer.Argument(help="CSV, XLSX or JSON lines; UTF-8 or GB18030.")],
    mapping: MappingOption = "register",
    rejects: RejectsOption = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """A case register 登记簿 becomes events; running it again adds nothing.

    Bad rows go to a reject file with row number and reason, never silently.
    """
    settings = load_settings(node)
    columns = load_mapping(mapping)
    rejects = rejects or reject_path(file)
    if rejects.resolve() == file.resolve():
        raise PetitionLinkError(f"--rejects {rejects} is the register itself: name another file")
    office = open_office(settings)
    totals = Totals()
    with (
        read_register(file, columns) as rows,
        own_connected(settings, "import") as connection,
        RejectWriter(rejects) as refused,
        _progress() as progress,
    ):
        task = progress.add_task("rows", total=1.0, rows=0)
        for chunk in import_rows(connection, office, rows):
            totals.add(chunk.totals)
            for row in chunk.rejected:
                refused.write(row)
            progress.update(task, completed=rows.progress or 0.0, rows=totals.read)
    if totals.rejected:
        say(f"rows refused: {totals.rejected}; row number and reason of each: {refused.path}")
    result = asdict(totals)
    print_data(
        result, output, lambda: table(f"import {file.name}", [*result], [[*result.values()]])
    )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.fields[rows]} {task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )
