"""`petitionlink import`: turn a case register into events."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from node.entrypoints.cli.node_settings import NodeOption, settings_for
from node.entrypoints.cli.output import Format, FormatOption, print_data, say, totals_table
from node.entrypoints.cli.progress import rows_progress
from node.keys.office import open_office
from node.postgres.connection import own_connected
from node.recovery.own_topics import await_gate
from node.runtime.errors import PetitionLinkError
from node.runtime.memory import collect_seldom
from producers.register import RejectWriter, load_mapping, read_register, reject_path
from producers.register_import.import_rows import ImportTotals, write_parts
from producers.register_import.iterate_in_subprocess import iterate_in_subprocess
from producers.register_import.prepare_rows import chunks_of
from producers.register_import.query_code_file import CodeFile

MappingOption = Annotated[
    str,
    typer.Option("--mapping", help="A shipped mapping (register, messages) or a TOML file 列映射."),
]
RejectsOption = Annotated[
    Path | None,
    typer.Option("--rejects", help="Where refused rows go; beside FILE unless given 退回文件."),
]
CodesOption = Annotated[
    Path | None,
    typer.Option("--query-codes", help="Issue a query code 查询码 for each case, into this CSV."),
]

app = typer.Typer()


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="CSV, XLSX or JSON lines; UTF-8 or GB18030.")],
    mapping: MappingOption = "register",
    rejects: RejectsOption = None,
    query_codes: CodesOption = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Import a case register 登记簿 as events; running it again adds nothing.

    Bad rows go to a reject file with row number and reason, never silently. Query codes are written
    to their file only, which you alone can read; about 20 a second are made.
    """
    settings = settings_for(node)
    columns = load_mapping(mapping)
    rejects = rejects or reject_path(file)
    _check_apart(("--rejects", rejects), ("--query-codes", query_codes), ("the register", file))
    office = open_office(settings)
    totals = ImportTotals()
    collect_seldom()
    await_gate(settings)
    with (
        read_register(file, columns) as rows,
        # Each chunk comes with the share of the file that is read by then.
        iterate_in_subprocess(
            (chunk, rows.progress or 0.0) for chunk in chunks_of(office, rows)
        ) as chunks,
        own_connected(settings, "import") as connection,
        RejectWriter(rejects, formula_guard=columns.formula_guard) as refused,
        CodeFile(query_codes, office.actor) if query_codes else nullcontext() as codes,
        rows_progress() as progress,
    ):
        task = progress.add_task("rows", total=1.0, rows=0)
        for prepared, read in chunks:
            with connection, connection.cursor() as cursor:
                office.check_clock(cursor)
            for chunk in write_parts(connection, office.node, prepared, codes):
                totals.add(chunk.totals)
                for row in chunk.rejected:
                    refused.write(row)
            progress.update(task, completed=read, rows=totals.read)
    if totals.rejected:
        say(f"rows refused: {totals.rejected}; row number and reason of each: {refused.path}")
    result = asdict(totals)
    print_data(result, output, lambda: totals_table(f"import {file.name}", result))


def _check_apart(*files: tuple[str, Path | None]) -> None:
    """Raise `PetitionLinkError` if two of the names mean the same file."""
    seen: dict[Path, str] = {}
    for name, path in files:
        if path is None:
            continue
        other = seen.setdefault(path.resolve(), name)
        if other != name:
            raise PetitionLinkError(f"{other} {path} is {name} itself: name another file")
