"""`petitionlink reconcile` and `audit`: prove that nothing is lost, in events and in numbers."""

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from cases.nodes import NATIONAL, known_node
from node import localstack
from node.entrypoints.cli.ledger_state import Ledger, ledger_state
from node.entrypoints.cli.node_settings import NodeOption, node_database, settings_for
from node.entrypoints.cli.output import (
    FROM_DAY,
    TO_DAY,
    Format,
    FormatOption,
    node_name,
    print_data,
    say,
    table,
)
from node.kafka.topic_names import peers_of
from node.postgres.connection import Connection, own_connected
from node.postgres.snapshot import snapshot
from node.reconcile import resend
from node.reconcile.control_channel import Channel
from node.reconcile.flow_audit import Audited, audit
from node.reconcile.initiator import RoundOutcome
from node.reconcile.protocol import CaseDifference
from node.reconcile.run_once import ANSWER_SECONDS, reconcile, reconcile_side_by_side
from node.runtime.errors import PetitionLinkError, Transient
from node.runtime.settings import Settings
from node.scrub import projection_check
from node.scrub.ledger_pass import verify_ledger
from node.scrub.repair import Context
from schemas.instants import now_micros

# After this time without an answer, the database of a node of the local stack is read instead.
_LOCAL_ANSWER_SECONDS = 6.0
_SHOWN = 20

app = typer.Typer()


@app.command("reconcile")
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

    The digests that each node keeps are compared; the answer says when each was last recomputed
    from the bytes. Missing events are sent again by their source. The exit code is 1 if the nodes
    differ, do not answer or have too much on its way to tell, or if this ledger is not whole.
    """
    settings = settings_for(node)
    _check_peers(settings.node, peer)
    began = time.monotonic()
    with own_connected(settings, "reconcile") as connection:
        if verify:
            _verify(settings)
        ledger = ledger_state(connection, settings.node, [peer])
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
    """Yield what becomes of the named events: sent again, or who must deal with them."""
    missing = {i for each in findings for i in (*each.missing_here, *each.missing_there)}
    sent = missing.intersection(i for each in findings for i in each.sent)
    differing = sum(len(each.differing) for each in findings)
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
    """Return which dead letters a person must deal with first, as the end of a sentence."""
    here = [event_id for each in findings for event_id in each.missing_here]
    there = [event_id for each in findings for event_id in each.missing_there]
    if not here and not there:
        return ""
    with connection, connection.cursor() as cursor:
        held_back = resend.held_back(cursor, node, peer, here, there)
    if not held_back:
        return ""
    first = held_back[0]
    receiver = peer if first.event_id in there else node
    number = "a dead letter" if first.letter is None else f"dead letter {first.letter}"
    return (
        f"; but {len(held_back)} of them are held back by dead letters: {number} at {receiver} "
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
    is_local_peer = stack is not None and peer in stack.nodes
    seconds = _LOCAL_ANSWER_SECONDS if is_local_peer else ANSWER_SECONDS
    try:
        with Channel(settings, "reconcile", [peer]) as channel:
            return reconcile(settings, connection, channel, peer, seconds)
    except Transient as error:
        if not is_local_peer:
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
        "differing": [finding.model_dump() for finding in outcome.findings],
        "compared": "kept digests",
        "verified_here": outcome.verified_here,
        "verified_there": outcome.verified_there,
        "seconds": round(seconds, 3),
    }


def _tables(data: dict[str, Any], findings: Sequence[CaseDifference]) -> Iterator[Table]:
    names = ("equal", "events", "exchanges", "mismatched_cases", "seconds")
    title = f"{node_name(data['node'])} with {node_name(data['peer'])}"
    cells = ["yes" if data["equal"] else "NO", *(data[name] for name in names[1:])]
    yield table(title, [name.replace("_", " ") for name in names], [cells])
    yield table("compared: the digests that each node keeps 比对依据", *_grounds(data))
    if findings:
        rows = [
            (each.case_id, *map(_ids, (each.missing_here, each.missing_there, each.differing)))
            for each in findings[:_SHOWN]
        ]
        missing = (f"missing at {data['node']}", f"missing at {data['peer']}")
        columns = ("case", *missing, "different bytes")
        yield table(f"differing cases, {_SHOWN} at most", columns, rows)


def _grounds(data: dict[str, Any]) -> tuple[Sequence[str], list[tuple[object, ...]]]:
    """Return when the digests were last recomputed from the bytes, and the rows counted now."""
    columns = ("node", "last recomputed from the bytes", "events counted", "rows there now")
    counted = [(each["kept"], each["rows"]) for each in data["rows"]] or [(None, None)]
    return columns, [
        (data["node"], _age(data["verified_here"]), *counted[0]),
        (data["peer"], _age(data["verified_there"]), None, None),
    ]


def _age(at: float | None) -> str:
    return "never" if at is None else f"{max(0.0, now_micros() / 1e6 - at):.0f} s ago"


def _ids(event_ids: Sequence[str]) -> str:
    return "\n".join(event_ids[:_SHOWN]) or "–"


@app.command("audit")
def audit_command(
    since: Annotated[datetime | None, FROM_DAY] = None,
    until: Annotated[datetime | None, TO_DAY] = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Audit losses in numbers 清点: each flow of this node by day, sender against receiver.

    Days are those (UTC+8) on which events were recorded. Accounts count what moved, not what is
    there now, so the rows are counted too. The exit code is 1 if something is unaccounted for, or
    if this ledger is known not to be whole.
    """
    first = since.date() if since else date.min
    last = until.date() if until else date.max
    with node_database(node, "audit") as (settings, connection):
        with snapshot(connection) as cursor:
            flows = [flow for flow in audit(cursor, settings.node) if first <= flow.day <= last]
        ledger = ledger_state(connection, settings.node)
    lines = [flow._asdict() | {"explanation": _explanation(flow)} for flow in flows]
    data = {
        "node": settings.node,
        "unaccounted": sum(abs(flow.unaccounted) for flow in flows),
        "flows": lines,
        **ledger.as_json(),
    }
    print_data(data, output, lambda: _flow_table(lines))
    ledger.check(settings.node)
    if data["unaccounted"]:
        raise PetitionLinkError(
            f"{data['unaccounted']} events are unaccounted for: `petitionlink reconcile --with "
            "NODE` names them"
        )


def _explanation(flow: Audited) -> str:
    reasons = [
        (flow.pending, "pending in the outbox"),
        (flow.in_flight or 0, "on the way"),
        (flow.dead_lettered, "dead-lettered"),
        (flow.unaccounted, "UNACCOUNTED"),
    ]
    return ", ".join(f"{number} {what}" for number, what in reasons if number) or "complete"


def _flow_table(lines: Sequence[dict[str, Any]]) -> Table:
    names = ("committed", "published", "received", "applied", "duplicates", "explanation")
    rows = [
        (f"{line['source']} → {line['destination']}", line["day"], *(line[name] for name in names))
        for line in lines
    ]
    return table("flows 收支", ("flow", "day", *names), rows)
