"""`petitionlink recover`: bring back a node whose database was lost or restored from a backup."""

import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from cases.nodes import NATIONAL
from consumers.admin.reset_offsets import Moved, move_into_range
from node.entrypoints.cli.node_settings import NodeOption, node_database
from node.entrypoints.cli.output import Format, FormatOption, print_data, say, table
from node.postgres.connection import Connection
from node.recovery import flag
from node.recovery.own_events import bring_home
from node.recovery.own_topics import existing_own_topics
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import Settings
from node.store import command_gate
from node.store.audit_log import note

_LOOK_SECONDS = 1.0

app = typer.Typer()


@app.command("recover")
def recover_command(
    wait: Annotated[
        int,
        typer.Option(min=0, max=86_400, metavar="SECONDS", help="Wait until it has recovered."),
    ] = 0,
    end: Annotated[
        bool, typer.Option("--end", help="End a recovery: own events come home no more.")
    ] = False,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Bring a node back whose database was lost or restored from a backup 恢复. Safe to repeat.

    1. Own events that the backup lacks come home from the node's own topics; from then on the node
       takes commands. Nothing of the node may run meanwhile.
    2. Positions that Kafka cannot serve any more are moved to what it has; audited.
    3. The node asks its peers for whatever is still missing, own events included, as soon as it
       runs, until they hold the same.
    """
    with node_database(node, "recover") as (settings, connection):
        if end:
            _end(settings, connection)
            return
        came_home = bring_home(settings, existing_own_topics(settings))
        moved = move_into_range(settings, connection)
        _begin(settings, connection, came_home, moved)
        recovered = _await(connection, wait) if wait else False
    data = {
        "node": settings.node,
        "came_home": came_home,
        "positions_moved": [move._asdict() for move in moved],
        "recovered": recovered,
    }
    print_data(data, output, lambda: _tables(data, moved))
    if not recovered:
        _advise(settings.node, wait)


def _begin(
    settings: Settings, connection: Connection, came_home: int, moved: Sequence[Moved]
) -> None:
    with connection, connection.cursor() as cursor:
        flag.begin(cursor)
        command_gate.confirm(cursor)
        detail = {"came_home": came_home, "positions_moved": len(moved)}
        note(cursor, settings.actor, "recover.begun", detail)


def _end(settings: Settings, connection: Connection) -> None:
    with connection, connection.cursor() as cursor:
        if not flag.end(cursor):
            raise PetitionLinkError(f"node {settings.node} is not recovering")
        note(cursor, settings.actor, "recover.ended", {})
    say(f"node {settings.node} is not recovering any more")


def _await(connection: Connection, seconds: int) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with connection, connection.cursor() as cursor:
            if not flag.is_recovering(cursor):
                return True
        time.sleep(_LOOK_SECONDS)
    return False


def _advise(node: str, wait: int) -> None:
    peers = "every province" if node == NATIONAL else NATIONAL
    if wait:
        raise PetitionLinkError(
            f"node {node} has not recovered within {wait} s: does it run here, and at "
            f"{peers}? `petitionlink reconcile --with NODE` says what is missing"
        )
    say(
        "start the node (`petitionlink run`): it asks its peers for what is still missing; "
        f"`petitionlink reconcile --with NODE` proves the end of it ({peers})"
    )


def _tables(data: dict[str, Any], moved: Sequence[Moved]) -> Iterator[Table]:
    columns = ("own events come home", "positions moved", "recovered")
    cells = (data["came_home"], len(moved), "yes" if data["recovered"] else "under way")
    yield table(f"recovery of node {data['node']}", columns, [cells])
    if moved:
        yield table("positions moved", Moved._fields, moved)
