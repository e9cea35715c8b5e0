"""`petitionlink reconcile`, `audit`: proof that nothing is lost, in events and in numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from cases.nodes import NATIONAL, NODES, known_node
from node import localstack
from node.entrypoints.cli.ledger_state import Ledger, look
from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import Format, FormatOption, NodeOption, print_data, say, table
from node.kafka.topic_names import peers_of
from node.postgres.connection import Connection, own_connected
from node.postgres.snapshot import snapshot
from node.reconcile import resend
from node.reconcile.control_channel import Channel
from node.reconcile.flow_audit import Audited, audit
from node.reconcile.initiator import RoundOutcome
from node.reconcile.protocol import CaseDifference
from node.reconcile.run_once import ANSWER_SECONDS, reconcile, reconcile_side_by_side
from node.runtime.clock import now_micros
from node.runtime.errors import PetitionLinkError, Transient
from node.runtime.settings import Settings
from node.scrub import projection_check
from node.scrub.ledger_pass import verify_ledger
from node.scrub.repair import Context

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
    verify: Annotated[
        bool, typer.Option("--verify", help="Recompute this node's digests from the bytes first.")
    ] = False,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Prove that two nodes hold the same events of the cases they share, or name the rest 对账.

    Compared are the digests that each node keeps; the answer says when each was last recomputed
    from the bytes. Missing events are sent again by their source. Exit code 1 if the nodes differ,
    do not answer, have too much on its way to tell, or this ledger is known not to be whole.
    """
    settings = settings_for(node)
    _check_peers(settings.node, peer)
    began = time.monotonic()
    with own_connected(settings, "reconcile") as connection:
        if verify:
            _verify(settings)
        ledger = look(connection, settings.node, [peer])
        outcome = _outcome(settings, connection, peer, local=node is not None)
        waiting = _held_back(connection, settings.node, peer, outcome.findings)
    data = _data(settings.node, peer, outcome, time.monotonic() - began) | ledger.as_json()
    print_data(data, output, lambda: _tables(data, outcome.findings))
    _judge(settings.node, peer, outcome, ledger, waiting)


def _verify(settings: Settings) -> None:
    with own_connected(settings, "verify") as connection:
        context = Context(settings.node, settings.actor, projection_check.prepare(connection))
        done = verify_ledger(connection, context, lambda *_: None, heals=True)
    say(f"recomputed from the bytes: {done.events} events, {len(done.found)} findings")


def _judge(node: str, peer: str, outcome: RoundOutcome, ledger: Ledger, waiting: str) -> None:
    ledger.check(node)
    if not outcome.settled:
        raise PetitionLinkError(
            f"too much is on its way between {node} and {peer} to tell: look again when "
            "outboxes and lag are small (`petitionlink status`)"
        )
    if outcome.mismatched:
        raise PetitionLinkError(
            f"{outcome.mismatched} cases differ between {node} and {peer}: "
            f"{'; '.join(_what_follows(outcome.findings))}{waiting}"
        )


def _what_follows(findings: Sequence[CaseDifference]) -> Iterator[str]:
    """What becomes of the events that are named: sent again, or by whom to be dealt with."""
    missing = {i for one in findings for i in (*one.missing_here, *one.missing_there)}
    sent = missing.intersection(i for one in findings for i in one.sent)
    differing = sum(len(one.differing) for one in findings)
    if sent:
        yield f"{len(sent)} missing events are sent again by their source; look again in a moment"
    if missing - sent:
        yield (
            f"{len(missing - sent)} missing events are sent by nobody: they are dead letters at "
            "the receiver (`petitionlink deadletters list`), or its account has not reached their "
            "source yet (look again in a minute), or the node that emitted them has lost them "
            "(`petitionlink recover` there)"
        )
    if differing:
        yield (
            f"{differing} events have other bytes at the other node: `petitionlink verify` at both "
            "names the damaged side; if none is, a person must decide (docs/runbook.md, drill 8)"
        )


def _held_back(
    connection: Connection, node: str, peer: str, findings: Sequence[CaseDifference]
) -> str:
    """What a person must decide before it is sent again, as the end of a sentence."""
    here = [event_id for one in findings for event_id in one.missing_here]
    there = [event_id for one in findings for event_id in one.missing_there]
    if not here and not there:
        return ""
    with connection, connection.cursor() as cursor:
        found = resend.held_back(cursor, node, peer, here, there)
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


def _outcome(settings: Settings, connection: Connection, peer: str, *, local: bool) -> RoundOutcome:
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
    with own_connected(settings_for(peer), "reconcile") as other:
        return reconcile_side_by_side(settings.node, connection, peer, other)


def _data(node: str, peer: str, outcome: RoundOutcome, seconds: float) -> dict[str, Any]:
    return {
        "node": node,
        "peer": peer,
        "equal": outcome.equal,
        "settled": outcome.settled,
        "events": outcome.events,
        "exchanges": outcome.exchanges,
        "mismatched_cases": outcome.mismatched,
        "differing": [one.model_dump() for one in outcome.findings],
        "compared": "kept digests",
        "verified_here": outcome.verified_here,
        "verified_there": outcome.verified_there,
        "seconds": round(seconds, 3),
    }


def _tables(data: dict[str, Any], findings: Sequence[CaseDifference]) -> Iterator[Table]:
    names = ("equal", "events", "exchanges", "mismatched_cases", "seconds")
    title = f"{_named(data['node'])} with {_named(data['peer'])}"
    cells = ["yes" if data["equal"] else "NO", *(data[name] for name in names[1:])]
    yield table(title, [name.replace("_", " ") for name in names], [cells])
    yield table("compared: the digests that each node keeps 比对依据", *_grounds(data))
    if findings:
        rows = [
            (
                *(one.case_id, _several(one.missing_here), _several(one.missing_there)),
                _several(one.differing),
            )
            for one in findings[:_SHOWN]
        ]
        columns = (
            *("case", f"missing at {data['node']}", f"missing at {data['peer']}"),
            "different bytes",
        )
        yield table(f"differing cases, {_SHOWN} at most", columns, rows)


def _grounds(data: dict[str, Any]) -> tuple[Sequence[str], list[tuple[object, ...]]]:
    """When the digests were last recomputed from the bytes, and the rows that were counted now."""
    columns = ("node", "last recomputed from the bytes", "events counted", "rows there now")
    counted = [(one["kept"], one["rows"]) for one in data["rows"]] or [(None, None)]
    return columns, [
        (data["node"], _age(data["verified_here"]), *counted[0]),
        (data["peer"], _age(data["verified_there"]), None, None),
    ]


def _age(at: float | None) -> str:
    return "never" if at is None else f"{max(0.0, now_micros() / 1e6 - at):.0f} s ago"


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

    Days are those (UTC+8) on which events were recorded. Accounts count what moved, not what is
    there now: the rows are counted beside them. Exit code 1 if something is unaccounted for, or
    this ledger is known not to be whole.
    """
    settings = settings_for(node)
    first = since.date() if since else date.min
    last = until.date() if until else date.max
    with own_connected(settings, "audit") as connection:
        with snapshot(connection) as cursor:
            found = [one for one in audit(cursor, settings.node) if first <= one.day <= last]
        ledger = look(connection, settings.node)
    lines = [one._asdict() | {"explanation": _explained(one)} for one in found]
    data = {
        "node": settings.node,
        "unaccounted": sum(abs(one.unaccounted) for one in found),
        "flows": lines,
        **ledger.as_json(),
    }
    print_data(data, output, lambda: _audited(lines))
    ledger.check(settings.node)
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
