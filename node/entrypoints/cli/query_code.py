"""`petitionlink query-code`: a new query code for a petitioner who lost his."""

from __future__ import annotations

from typing import Annotated

import typer

from node.enquiry_access import query_codes
from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import Format, FormatOption, NodeOption, print_data, table
from node.postgres.connection import own_connected

CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="The case id 信访件编号.")]
ActorOption = Annotated[
    str | None, typer.Option("--actor", help="Who issues it 签发账号; else PETITIONLINK_ACTOR.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("query-code")(query_code_command)


def query_code_command(
    case: CaseArgument,
    actor: ActorOption = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """A new query code 查询码 for a case, printed once; an older one is void. Audited.

    Only a digest is kept: a code that was lost is replaced, it cannot be shown again.
    """
    settings = settings_for(node)
    by = actor or settings.actor
    with (
        own_connected(settings, "query-code") as connection,
        connection,
        connection.cursor() as cursor,
    ):
        code = query_codes.issue(cursor, case, by)
    data = {"case_id": case, "query_code": code, "issued_by": by}
    columns = ("case 信访件编号", "query code 查询码")
    print_data(data, output, lambda: table("shown only now 仅显示一次", columns, [(case, code)]))
