"""`petitionlink command`: case commands as JSON lines."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cases.errors import Refusal
from cases.vocabulary import event_types as types
from node.enquiry_access import query_codes as codes
from node.entrypoints.cli.node_settings import NodeOption, settings_for
from node.entrypoints.cli.output import print_json, say
from node.keys.office import Office, open_office
from node.postgres.connection import Connection, own_connected
from node.recovery.own_topics import await_gate
from node.runtime.errors import PetitionLinkError
from producers.commands.handle import handled
from producers.commands.parse import parse_line
from schemas.errors import Invalid

app = typer.Typer()


@app.command("command")
def command_command(
    file: Annotated[str, typer.Argument(help="A file of JSON lines, or - for standard input.")],
    node: NodeOption = None,
    query_codes: Annotated[
        bool, typer.Option(help="Give each registered case a query code 查询码, shown only here.")
    ] = True,
) -> None:
    """Execute case commands 办件指令 from JSON lines; print one result line for each.

    {"command": "register", "title": "…", "channel": "web"} gives the case id and the petitioner's
    query code; {"command": "assign", "case_id": "…", "to": "370000"} and all others are in
    docs/commands.md. Exit code 1 if one was refused.
    """
    settings = settings_for(node)
    office = open_office(settings)
    refused = 0
    await_gate(settings)
    with own_connected(settings, "command") as connection:
        for number, line in _lines(file):
            result = _result(connection, office, number, line, with_code=query_codes)
            refused += not result["ok"]
            print_json(result, indent=False)
    if refused:
        say(f"error: commands refused: {refused}; each result line says why")
        raise typer.Exit(1)


def _lines(file: str) -> Iterator[tuple[int, bytes]]:
    try:
        stream = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise PetitionLinkError(f"{file} cannot be read: {error.strerror}") from None
    with stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line


def _result(
    connection: Connection, office: Office, number: int, line: bytes, *, with_code: bool
) -> dict[str, Any]:
    code: dict[str, str] = {}
    try:
        with handled(connection, office, parse_line(line, office)) as (cursor, done):
            if with_code and done.event.type == types.REGISTERED:
                code["query_code"] = codes.issue(cursor, done.case.case_id, done.event.actor)
    except Refusal as error:
        return {"line": number, "ok": False, "rule": error.rule, "error": str(error)}
    except Invalid as error:
        return {"line": number, "ok": False, "rule": "invalid", "error": str(error)}
    return {
        "line": number,
        "ok": True,
        "case_id": done.case.case_id,
        "event_id": done.event.event_id,
        "event_type": done.event.type,
        "version": done.event.version,
        "state": done.case.state,
        **code,
    }
