"""`petitionlink verify`: the whole ledger recomputed from its bytes, now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.table import Table

from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import Format, FormatOption, NodeOption, print_data, table
from node.entrypoints.cli.progress import rows_progress
from node.postgres.connection import Connection, own_connected
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import Settings
from node.scrub import findings, position, projection_check
from node.scrub.ledger_pass import Verified, verify_ledger
from node.scrub.repair import Context
from node.scrub.worker import read_own_topics

_SHOWN = 50
_CASE = typer.Option("--case", metavar="ID", help="Only this case; may be given several times.")
_HEAL = typer.Option("--heal/--no-heal", help="Heal what is found, or only name it 只查不改.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify_command)


def verify_command(
    case: Annotated[list[str] | None, _CASE] = None,
    heal: Annotated[bool, _HEAL] = True,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Recompute every digest and projection from the bytes in the ledger, now 全量校验.

    Names each case and event that is missing, added or altered, and heals it: from the row's own
    bytes where these are sound, else its peers send it again (the node must run). Exit code 1 if
    something is open at the end.
    """
    settings = settings_for(node)
    with own_connected(settings, "verify") as connection:
        done = _verified(settings, connection, case, heals=heal)
        home = _own_home(settings, connection) if heal else 0
        with connection, connection.cursor() as cursor:
            open_now = findings.open_findings(cursor)
    data = {
        "node": settings.node,
        "cases": done.cases,
        "events": done.events,
        "found": [one.as_json() for one in done.found],
        "own_events_come_home": home,
        "open": open_now,
    }
    print_data(data, output, lambda: _tables(data))
    if open_now:
        raise PetitionLinkError(_open(settings.node, open_now, heals=heal))


def _verified(
    settings: Settings, connection: Connection, case: list[str] | None, *, heals: bool
) -> Verified:
    context = Context(settings.node, settings.actor, projection_check.prepare(connection))
    with rows_progress() as bar:
        task = bar.add_task("cases", total=None, rows=0)

        def moved(cases: int, _events: int) -> None:
            bar.update(task, completed=cases, rows=cases)

        return verify_ledger(connection, context, moved, heals=heals, cases=case)


def _own_home(settings: Settings, connection: Connection) -> int:
    with connection, connection.cursor() as cursor:
        wanted = position.wants_own_topics(cursor)
    return read_own_topics(settings, connection) if wanted else 0


def _open(node: str, several: list[dict[str, Any]], *, heals: bool) -> str:
    number = f"{len(several)} findings are open at node {node}"
    if not heals:
        return f"{number}: `petitionlink verify` without --no-heal heals what can be healed"
    return (
        f"{number}: what is missing is asked of the peers while the node runs (`petitionlink "
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


def findings_table(title: str, several: list[dict[str, Any]]) -> Iterator[Table]:
    """A table of findings, the first ones of them; none if there are none."""
    columns = ("kind", "case", "event", "detail")
    lines = [
        (one["kind"], one["case_id"] or None, one["event_id"], one["detail"])
        for one in several[:_SHOWN]
    ]
    if lines:
        yield table(f"{title}, {len(lines)} of {len(several)}", columns, lines)
