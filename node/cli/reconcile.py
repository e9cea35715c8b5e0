"""`petitionlink reconcile`, `audit`: proof that nothing is lost, in events and in numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from cases.nodes import NATIONAL, NODES, known_node
from cases.topics import peers_of
from node import localstack
from node.auditing import Audited, audit
from node.cli.output import Format, FormatOption, NodeOption, print_data, say, table
from node.control import Channel
from node.errors import PetitionLinkError, Transient
from node.postgres import Connection, own_connected
from node.queries.snapshot import snapshot
from node.reconciliation import resending
from node.reconciliation.asking import ANSWER_SECONDS, reconcile
from node.reconciliation.driving import Outcome
from node.reconciliation.messages import Finding
from node.reconciliation.side_by_side import reconcile_side_by_side
from node.settings import Settings, load_settings

# A node of the local stack that does not answer for so long is looked at in its database.
_LOCAL_ANSWER_SECONDS = 6.0
_SHOWN = 20
_DATE = "%Y-%m-%d"
_FROM = typer.Option("--from", formats=[_DATE], metavar="DATE", help="The first day 起始日.")
_TO = typer.Option("--to", formats=[_DATE], metavar="DATE", help="The last day, inside 截止日.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("reconcile")(reconcile_command)
    app.command("audit")(audit_command)


def reconcile_command(
    peer: Annotated[
        str, typer.Option("--with", metavar="NODE", help="The node to compare with 对账节点.")
    ],
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Prove that two nodes hold the same events of the cases they share, or name the rest 对账.

    Missing events are asked for and sent again by their source, without further commands. Exit
    code 1 if the nodes differ, do not answer, or have too much on its way to tell.
    """
    settings = load_settings(node)
    _check_peers(settings.node, peer)
    began = time.monotonic()
    with own_connected(settings, "reconcile") as connection:
        outcome = _outcome(settings, connection, peer, local=node is not None)
        waiting = _held_back(connection, settings.node, peer, outcome.findings)
    data = _data(settings.node, peer, outcome, time.monotonic() - began)
    print_data(data, output, lambda: _tables(data, outcome.findings))
    if not outcome.settled:
        raise PetitionLinkError(
            f"too much is on its way between {settings.node} and {peer} to tell: look again when "
            "outboxes and lag are small (`petitionlink status`)"
        )
    if outcome.mismatched:
        raise PetitionLinkError(
            f"{outcome.mismatched} cases differ between {settings.node} and {peer}: what is "
            "missing was asked for and is sent again by its source; look again in a moment"
            f"{waiting}"
        )


def _held_back(connection: Connection, node: str, peer: str, findings: Sequence[Finding]) -> str:
    """What a person must decide before it is sent again, as the end of a sentence."""
    here = [event_id for one in findings for event_id in one.missing_here]
    there = [event_id for one in findings for event_id in one.missing_there]
    if not here and not there:
        return ""
    with connection, connection.cursor() as cursor:
        found = resending.held_back(cursor, node, peer, here, there)
    if not found:
        return ""
    first = found[0]
    receiver = peer if first.event_id in there else node
    number = "a dead letter" if first.letter is None else f"dead letter {first.letter}"
    return (
        f"; but {len(found)} of them are held back by dead letters: {number} at {receiver} "
        f"({first.topic} partition {first.partition} offset {first.offset}) holds event "
        f"{first.event_id}: replay or discard it there (`petitionlink deadletters list`)"
    )


def _check_peers(node: str, peer: str) -> None:
    if known_node(peer).code not in peers_of(node):
        raise PetitionLinkError(
            f"node {node} exchanges nothing with {peer}: a province reconciles with {NATIONAL}, "
            "the centre with any province"
        )


def _outcome(settings: Settings, connection: Connection, peer: str, *, local: bool) -> Outcome:
    stack = localstack.load() if local else None
    beside = stack is not None and peer in stack.nodes
    seconds = _LOCAL_ANSWER_SECONDS if beside else ANSWER_SECONDS
    try:
        with Channel(settings, "reconcile", [peer]) as channel:
            return reconcile(settings, connection, channel, peer, seconds)
    except Transient as error:
        if not beside:
            raise
        say(f"{error}: comparing with its database in the local stack instead")
    with own_connected(load_settings(peer), "reconcile") as other:
        return reconcile_side_by_side(settings.node, connection, peer, other)


def _data(node: str, peer: str, outcome: Outcome, seconds: float) -> dict[str, Any]:
    return {
        "node": node,
        "peer": peer,
        "equal": outcome.equal,
        "settled": outcome.settled,
        "events": outcome.events,
        "exchanges": outcome.exchanges,
        "mismatched_cases": outcome.mismatched,
        "differing": [one.model_dump() for one in outcome.findings],
        "seconds": round(seconds, 3),
    }


def _tables(data: dict[str, Any], findings: Sequence[Finding]) -> Iterator[Table]:
    names = ("equal", "events", "exchanges", "mismatched_cases", "seconds")
    title = f"{_named(data['node'])} with {_named(data['peer'])}"
    cells = ["yes" if data["equal"] else "NO", *(data[name] for name in names[1:])]
    yield table(title, [name.replace("_", " ") for name in names], [cells])
    if findings:
        rows = [
            (one.case_id, _several(one.missing_here), _several(one.missing_there))
            for one in findings[:_SHOWN]
        ]
        columns = ("case", f"missing at {data['node']}", f"missing at {data['peer']}")
        yield table(f"differing cases, {_SHOWN} at most", columns, rows)


def _several(event_ids: Sequence[str]) -> str:
    return "\n".join(event_ids[:_SHOWN]) or "–"


def _named(code: str) -> str:
    return f"{code} {NODES[code].chinese}"


def audit_command(
    since: Annotated[datetime | None, _FROM] = None,
    until: Annotated[datetime | None, _TO] = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """The audit of loss in numbers 清点: each flow of this node by day, sender against receiver.

    Days are those (UTC+8) on which events were recorded. Exit code 1 if something is unaccounted
    for.
    """
    settings = load_settings(node)
    first = since.date() if since else date.min
    last = until.date() if until else date.max
    with own_connected(settings, "audit") as connection, snapshot(connection) as cursor:
        found = [one for one in audit(cursor, settings.node) if first <= one.day <= last]
    lines = [one._asdict() | {"explanation": _explained(one)} for one in found]
    data = {
        "node": settings.node,
        "unaccounted": sum(abs(one.unaccounted) for one in found),
        "flows": lines,
    }
    print_data(data, output, lambda: _audited(lines))
    if data["unaccounted"]:
        raise PetitionLinkError(
            f"{data['unaccounted']} events are unaccounted for: `petitionlink reconcile --with "
            "NODE` names them"
        )


def _explained(one: Audited) -> str:
    reasons = [
        (one.pending, "pending in the outbox"),
        (one.in_flight or 0, "on the way"),
        (one.dead_lettered, "dead-lettered"),
        (one.unaccounted, "UNACCOUNTED"),
    ]
    return ", ".join(f"{number} {what}" for number, what in reasons if number) or "complete"


def _audited(lines: Sequence[dict[str, Any]]) -> Table:
    names = ("committed", "published", "received", "applied", "duplicates", "explanation")
    rows = [
        (f"{line['source']} → {line['destination']}", line["day"], *(line[name] for name in names))
        for line in lines
    ]
    return table("flows 收支", ("flow", "day", *names), rows)
