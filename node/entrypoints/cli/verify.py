"""`petitionlink verify`: recompute the whole ledger from its bytes, now."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.table import Table

from node.entrypoints.cli.node_settings import NodeOption, node_database
from node.entrypoints.cli.output import Format, FormatOption, print_data, table
from node.entrypoints.cli.progress import counting
from node.postgres.connection import Connection
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import Settings
from node.scrub import findings, position, projection_check
from node.scrub.ledger_pass import verify_ledger
from node.scrub.repair import Context
from node.scrub.worker import read_own_topics

_SHOWN = 50
_CASE = typer.Option("--case", metavar="ID", help="Only this case; may be given several times.")
_HEAL = typer.Option("--heal/--no-heal", help="Heal what is found, or only name it 只查不改.")

app = typer.Typer()


@app.command("verify")
def verify_command(
    case: Annotated[list[str] | None, _CASE] = None,
    heal: Annotated[bool, _HEAL] = True,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Recompute every digest and projection from the bytes in the ledger, now 全量校验.

    Names each case and event that is missing, added or altered, and heals it: from the row's own
    bytes if these are sound, else its peers send it again (the node must run). The exit code is 1
    if something is open at the end.
    """
    with node_database(node, "verify") as (settings, connection):
        with counting("cases") as move:
            context = Context(settings.node, settings.actor, projection_check.prepare(connection))
            done = verify_ledger(
                connection, context, lambda cases, _: move(cases, None), heals=heal, cases=case
            )
        home = _read_own_topics(settings, connection) if heal else 0
        with connection, connection.cursor() as cursor:
            open_now = findings.open_findings(cursor)
    data = {
        "node": settings.node,
        "cases": done.cases,
        "events": done.events,
        "found": [finding.as_json() for finding in done.found],
        "own_events_come_home": home,
        "open": open_now,
    }
    print_data(data, output, lambda: _tables(data))
    if open_now:
        raise PetitionLinkError(_advice(settings.node, len(open_now), heals=heal))


def _read_own_topics(settings: Settings, connection: Connection) -> int:
    with connection, connection.cursor() as cursor:
        wanted = position.wants_own_topics(cursor)
    return read_own_topics(settings, connection) if wanted else 0


def _advice(node: str, number: int, *, heals: bool) -> str:
    number_open = f"{number} findings are open at node {node}"
    if not heals:
        return f"{number_open}: `petitionlink verify` without --no-heal heals what can be healed"
    return (
        f"{number_open}: what is missing is asked of the peers while the node runs (`petitionlink "
        "run`); look again with `petitionlink status`; if it stays, see docs/runbook.md, drill 8"
    )


def _tables(data: dict[str, Any]) -> Iterator[Table]:
    names = ("cases", "events", "found", "own_events_come_home", "open")
    cells = [
        len(data[name]) if isinstance(data[name], list) else data[name]  # lists are counted
        for name in names
    ]
    title = f"verification of node {data['node']} 校验"
    yield table(title, [name.replace("_", " ") for name in names], [cells])
    yield from findings_table("found 所见", data["found"])
    yield from findings_table("open 未修复", data["open"])


def findings_table(title: str, all_findings: list[dict[str, Any]]) -> Iterator[Table]:
    """Yield a table of the first findings; nothing if there are none."""
    columns = ("kind", "case", "event", "detail")
    rows = [
        (finding["kind"], finding["case_id"] or None, finding["event_id"], finding["detail"])
        for finding in all_findings[:_SHOWN]
    ]
    if rows:
        yield table(f"{title}, {len(rows)} of {len(all_findings)}", columns, rows)
