"""`petitionlink export` and `petitionlink template`: a register of cases, or an empty one."""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from cases.case import State
from cases.nodes import known_node
from node.entrypoints.cli.node_settings import NodeOption, settings_for
from node.entrypoints.cli.output import Format, FormatOption, print_data, say, totals_table
from node.entrypoints.cli.progress import counting
from node.keys.office import open_office
from node.postgres.connection import own_connected
from node.queries.export import CaseSelection
from node.runtime.errors import PetitionLinkError
from producers.register import load_mapping
from producers.register.template import write_template
from producers.register_export.export_cases import ExportRequest, export

FileArgument = Annotated[Path, typer.Argument(help="A new .csv or .xlsx file 登记簿文件.")]
MappingOption = Annotated[
    str, typer.Option("--mapping", help="A shipped mapping or a TOML file 列映射.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a file that is there 覆盖.")]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="DAY", help="Registered on this China day or later.")
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="DAY", help="Registered on this day or before.")
]
StatesOption = Annotated[
    list[str] | None, typer.Option("--state", help="In this state 状态; may be repeated.")
]
RegisteredByOption = Annotated[
    list[str] | None, typer.Option(metavar="CODE", help="Registering node 登记节点; repeatable.")
]
HandledByOption = Annotated[
    list[str] | None, typer.Option(metavar="CODE", help="Responsible node 承办节点; repeatable.")
]
PetitionerOption = Annotated[
    bool, typer.Option("--with-petitioner", help="Open the petitioners 含信访人信息; audited.")
]

_EVERY = 200  # rows between two moves of the progress bar
# A case whose registration has not arrived cannot be written as a row.
_STATES = {value for name, value in vars(State).items() if name.isupper()} - {State.UNKNOWN}

app = typer.Typer()


@app.command("export")
def export_command(
    file: FileArgument,
    first: FromOption = None,
    last: ToOption = None,
    state: StatesOption = None,
    registered_by: RegisteredByOption = None,
    handled_by: HandledByOption = None,
    mapping: MappingOption = "register",
    with_petitioner: PetitionerOption = False,
    force: ForceOption = False,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Write cases to a case register 登记簿 that `import` reads and only you may read.

    Rows that cannot hold all of their case are counted as partial.
    """
    settings = settings_for(node)
    request = ExportRequest(
        _selection(first, last, state, registered_by, handled_by), with_petitioner
    )
    columns, office = load_mapping(mapping), open_office(settings)
    with own_connected(settings, "export") as connection, counting("rows") as move:

        def moved(done: int, total: int) -> None:
            if done % _EVERY == 0:
                move(done, total)

        totals = export(connection, office, request, columns, file, force=force, progress=moved)
    if totals.partial:
        say(
            f"rows that tell only a part of their case: {totals.partial} "
            "(docs/register-format.md says what a row can tell)"
        )
    if totals.unreadable:
        say(f"petitioners that are not sealed for this node: {totals.unreadable}")
    result = asdict(totals)
    print_data(result, output, lambda: totals_table(f"export {file}", result))


@app.command("template")
def template_command(
    file: FileArgument,
    mapping: MappingOption = "register",
    force: ForceOption = False,
    output: FormatOption = Format.table,
) -> None:
    """Write an empty register 登记簿模板 to fill in; .xlsx has lists of choices and 填表说明."""
    columns = write_template(file, load_mapping(mapping), force=force)
    result = {"file": str(file), "columns": columns}
    print_data(result, output, lambda: totals_table("template", result))


def _selection(
    first: str | None,
    last: str | None,
    states: list[str] | None,
    registered_by: list[str] | None,
    handled_by: list[str] | None,
) -> CaseSelection:
    days = _day("--from", first), _day("--to", last)
    if days[0] and days[1] and days[0] > days[1]:
        raise PetitionLinkError(f"--from {first} is after --to {last}: exchange them")
    for state in states or ():
        if state not in _STATES:
            known = ", ".join(sorted(_STATES))
            raise PetitionLinkError(f"--state {state!r} is unknown: use one of {known}")
    return CaseSelection(
        *days,
        tuple(states) if states else None,
        _known_nodes(registered_by),
        _known_nodes(handled_by),
    )


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise PetitionLinkError(f"{option} {text!r} is no day: write it as 2026-01-31") from None


def _known_nodes(codes: list[str] | None) -> tuple[str, ...] | None:
    return tuple(known_node(code).code for code in codes) if codes else None
