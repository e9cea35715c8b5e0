"""`petitionlink query-code`: issue a new query code to a petitioner who lost theirs."""

from typing import Annotated

import typer

from node.enquiry_access import query_codes
from node.entrypoints.cli.node_settings import NodeOption, node_database
from node.entrypoints.cli.output import Format, FormatOption, print_data, table

app = typer.Typer()


@app.command("query-code")
def query_code_command(
    case: Annotated[str, typer.Argument(metavar="CASE", help="The case id 信访件编号.")],
    actor: Annotated[
        str | None, typer.Option(help="Who issues it 签发账号; else PETITIONLINK_ACTOR.")
    ] = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Issue a new query code 查询码 for a case and print it once; an older one is void. Audited.

    Only a digest is kept: a lost code cannot be shown again, only replaced.
    """
    with (
        node_database(node, "query-code") as (settings, connection),
        connection,
        connection.cursor() as cursor,
    ):
        by = actor or settings.actor
        code = query_codes.issue(cursor, case, by)
    data = {"case_id": case, "query_code": code, "issued_by": by}
    columns = ("case 信访件编号", "query code 查询码")
    print_data(data, output, lambda: table("shown only now 仅显示一次", columns, [(case, code)]))
