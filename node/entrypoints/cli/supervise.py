"""`petitionlink supervise`: routine supervision at the centre, shown first and then issued."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cases.nodes import NODES
from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import Format, FormatOption, NodeOption, print_data, table
from node.keys.office import Office, open_office
from node.postgres.connection import Connection, own_connected
from node.recovery.own_topics import await_gate
from node.runtime.errors import PetitionLinkError
from producers.routines.supervision import Look, Outcome, dry_run, issue
from producers.routines.supervision_policy import policy_file, read_policy
from schemas.instants import text_of

_KINDS = {"urged": "催办", "supervised": "督办", "listed": "挂牌督办"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("supervise")(supervise_command)


def supervise_command(
    really: Annotated[
        bool,
        typer.Option("--issue", help="Issue 下发; otherwise only show 试运行 what it would issue."),
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The policy 督办规则; else PETITIONLINK_SUPERVISION_POLICY."
        ),
    ] = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Routine supervision 常态督办: what is overdue, what the policy issues for it, and why.

    Exit code 1 if something that was to be issued is refused.
    """
    settings = settings_for(node)
    office = open_office(settings)
    rules = read_policy(policy or policy_file(settings.supervision_policy))
    if really:
        await_gate(settings)
    with own_connected(settings, "supervise") as connection:
        if really:
            _check_clock(office, connection)
            found, issuing = issue(connection, office, rules, settings.actor)
            outcomes = [*issuing]
        else:
            found, outcomes = dry_run(connection, office, rules, settings.actor), []
    data = _data(settings.node, rules.digest, found, outcomes, issued=really)
    print_data(data, output, lambda: _table(data))
    if any(one.error for one in outcomes):
        raise typer.Exit(1)


def _check_clock(office: Office, connection: Connection) -> None:
    """A duty is overdue only by a clock that is right."""
    with connection, connection.cursor() as cursor:
        why = office.clock_check.why_not_act(cursor) if office.clock_check else ""
    if why:
        raise PetitionLinkError(why)


def _data(
    node: str, digest: str, found: Look, outcomes: list[Outcome], *, issued: bool
) -> dict[str, Any]:
    items: list[dict[str, Any]] = [
        {**one._asdict(), "due_at": text_of(one.due_at)} for one in found.proposals
    ]
    for item, outcome in zip(items, outcomes, strict=False):
        item |= {"supervision_id": outcome.event_id, "refusal": outcome.rule}
        item |= {"error": outcome.error}
    return {
        "node": node,
        "policy": digest,
        "dry_run": not issued,
        "proposed": len(items),
        "issued": sum(one.event_id is not None for one in outcomes),
        "refused": sum(one.error is not None for one in outcomes),
        "more": found.more,
        "items": items,
    }


def _table(data: dict[str, Any]) -> Table:
    what = (
        f"dry run 试运行: {data['proposed']} would be issued"
        if data["dry_run"]
        else f"{data['issued']} issued 已下发, {data['refused']} refused"
    )
    more = "; the policy's limit leaves more for the next round" if data["more"] else ""
    rows = [
        (
            *(one["case_id"], f"{one['to']} {NODES[one['to']].chinese}", _KINDS[one["kind"]]),
            *(one["rule"], one["clock"], one["due_at"], one.get("error") or one["why"]),
        )
        for one in data["items"]
    ]
    columns = ("case", "to 被督办节点", "kind 方式", "rule", "clock", "due 到期", "why 缘由")
    return table(f"{what}{more} (policy {data['policy'][:12]})", columns, rows)
