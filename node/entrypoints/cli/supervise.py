"""`petitionlink supervise`: show or issue the routine supervision of the centre."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from node.entrypoints.cli.node_settings import NodeOption, settings_for
from node.entrypoints.cli.output import Format, FormatOption, node_name, print_data, table
from node.keys.office import Office, open_office
from node.postgres.connection import Connection, own_connected
from node.recovery.own_topics import await_gate
from node.runtime.errors import PetitionLinkError
from producers.routines.supervision import Look, SupervisionOutcome, dry_run, issue
from producers.routines.supervision_policy import policy_file, read_policy
from schemas.instants import text_of

_KINDS = {"urged": "催办", "supervised": "督办", "listed": "挂牌督办"}

app = typer.Typer()


@app.command("supervise")
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
    """Show or issue routine supervision 常态督办 by the policy, with overdue duties and reasons.

    The exit code is 1 if something that was to be issued is refused.
    """
    settings = settings_for(node)
    office = open_office(settings)
    rules = read_policy(policy or policy_file(settings.supervision_policy))
    if really:
        await_gate(settings)
    with own_connected(settings, "supervise") as connection:
        if really:
            _check_clock(office, connection)
            look, issuing = issue(connection, office, rules, settings.actor)
            outcomes = [*issuing]
        else:
            look, outcomes = dry_run(connection, office, rules, settings.actor), []
    data = _data(settings.node, rules.digest, look, outcomes, issued=really)
    print_data(data, output, lambda: _table(data))
    if data["refused"]:
        raise typer.Exit(1)


def _check_clock(office: Office, connection: Connection) -> None:
    """Raise `PetitionLinkError` if the clock is wrong: it decides what is overdue."""
    with connection, connection.cursor() as cursor:
        why = office.clock_check.why_not_act(cursor) if office.clock_check else ""
    if why:
        raise PetitionLinkError(why)


def _data(
    node: str, digest: str, look: Look, outcomes: list[SupervisionOutcome], *, issued: bool
) -> dict[str, Any]:
    items: list[dict[str, Any]] = [
        {**proposal._asdict(), "due_at": text_of(proposal.due_at)} for proposal in look.proposals
    ]
    for item, outcome in zip(items, outcomes, strict=False):
        item |= {"supervision_id": outcome.event_id, "refusal": outcome.rule}
        item |= {"error": outcome.error}
    return {
        "node": node,
        "policy": digest,
        "dry_run": not issued,
        "proposed": len(items),
        "issued": sum(outcome.event_id is not None for outcome in outcomes),
        "refused": sum(outcome.error is not None for outcome in outcomes),
        "more": look.more,
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
        (item["case_id"], node_name(item["to"]), _KINDS[item["kind"]], item["rule"],
         item["clock"], item["due_at"], item.get("error") or item["why"])
        for item in data["items"]
    ]  # fmt: skip
    columns = ("case", "to 被督办节点", "kind 方式", "rule", "clock", "due 到期", "why 缘由")
    return table(f"{what}{more} (policy {data['policy'][:12]})", columns, rows)
