"""`petitionlink status`: does this node keep up?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from kafka import errors as kafka_errors
from rich.table import Table

from consumers.partition_status import partition_status
from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import Format, FormatOption, NodeOption, print_data, say, table
from node.entrypoints.cli.verify import findings_table
from node.postgres.connection import Connection, own_connected
from node.queries.status import read_status
from node.reconcile.results import results
from node.runtime.clock import now_micros
from node.runtime.errors import classified
from node.runtime.settings import Settings
from node.scrub import findings, position
from node.store import clock_skew

_MOST_FINDINGS = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status_command)


def status_command(node: NodeOption = None, output: FormatOption = Format.table) -> None:
    """Position, end and lag of each partition; outbox, dead letters, incomplete cases 运行状态.

    Exit code 1 if Kafka does not answer; what Postgres knows is shown all the same.
    """
    settings = settings_for(node)
    with own_connected(settings, "status") as connection:
        partitions, problem = _partitions(settings, connection)
        data = {
            **read_status(connection, settings.node),
            "clock_ahead_seconds": _clock_ahead(connection),
            "reconciliation": _proofs(connection),
            "scrub": _scrub(connection),
            "partitions": partitions,
        }
    print_data(data, output, lambda: _tables(data))
    if problem is not None:
        say(f"error: {problem}")
        raise typer.Exit(1)


def _partitions(
    settings: Settings, connection: Connection
) -> tuple[list[dict[str, Any]] | None, Exception | None]:
    try:
        found = partition_status(settings, connection, now_micros())
    except kafka_errors.KafkaError as error:
        return None, classified(error)
    return [one._asdict() for one in found], None


def _proofs(connection: Connection) -> list[dict[str, Any]]:
    with connection, connection.cursor() as cursor:
        return [one._asdict() for one in results(cursor)]


def _own_events(data: dict[str, Any]) -> Table:
    """What would be lost if this database died now."""
    lost = data["own_events_only_here"]
    cells = (
        *("yes" if data["takes_commands"] else "no", lost["events"]),
        *(f"{lost['oldest_seconds']:.1f}", lost["cases_to_look_at"]),
    )
    columns = ("takes commands", "own events only here", "oldest s", "cases to look at")
    return table("own topic 自有主题", columns, [cells])


def _scrub(connection: Connection) -> dict[str, Any]:
    with connection, connection.cursor() as cursor:
        stands = position.read(cursor)
        return {
            "complete_at": stands.complete_at,
            "pass_began_at": stands.began_at,
            "pass_events": stands.events,
            "open_by_kind": findings.open_by_kind(cursor),
            "open": findings.open_findings(cursor, _MOST_FINDINGS),
        }


def _scrub_tables(scrub: dict[str, Any], now: float) -> Iterator[Table]:
    at, opened = scrub["complete_at"], sum(scrub["open_by_kind"].values())
    cells = (f"{now - at:.0f}" if at else "never", scrub["pass_events"], opened)
    yield table(
        "scrub 校验", ("last complete pass s ago", "events of this pass", "open findings"), [cells]
    )
    yield from findings_table("open findings 未修复", scrub["open"])


def _clock_ahead(connection: Connection) -> float | None:
    """By how much this machine's clock is ahead of the broker's; None if never measured."""
    with connection, connection.cursor() as cursor:
        return clock_skew.read(cursor, now_micros()).seconds


def shown_skew(seconds: float | None) -> str:
    """Return a clock's skew with one decimal, never "-0.0"."""
    return "unknown" if seconds is None else f"{seconds:z.1f}"


def _tables(data: dict[str, Any]) -> Iterator[Table]:
    counts = ["events", "cases", "incomplete_cases", "cases_with_conflicts", "dead_letters_open"]
    title = f"node {data['node']}"
    yield table(title, [name.replace("_", " ") for name in counts], [[data[n] for n in counts]])
    rows = [
        (o["topic"], o["pending"], f"{o['oldest_pending_seconds']:.1f}", o["published"])
        for o in data["outbox"]
    ]
    yield table("outbox 发件箱", ("topic", "pending", "oldest pending s", "published"), rows)
    yield _own_events(data)
    now = now_micros() / 1e6
    proofs = [
        (one["peer"], one["mismatched"], f"{now - one['last_success_at']:.0f}"
         if one["last_success_at"] else None)
        for one in data["reconciliation"]
    ]  # fmt: skip
    yield table("proof 对账", ("peer", "cases that differ", "last proven s ago"), proofs)
    yield from _scrub_tables(data["scrub"], now)
    skew = shown_skew(data["clock_ahead_seconds"])
    yield table("clock 时钟", ("ahead of the broker's s",), [[skew]])
    if data["stopped"]:
        yield _stopped(data["stopped"])
    if data["partitions"] is not None:
        columns = ("topic", "partition", "position", "end", "lag records", "lag s")
        lines = [
            (p["topic"], p["partition"], p["position"], p["end"], p["lag_records"],
             None if p["lag_seconds"] is None else f"{p['lag_seconds']:.1f}")
            for p in data["partitions"]
        ]  # fmt: skip
        yield table("partitions 分区", columns, lines)


def _stopped(several: list[dict[str, Any]]) -> Table:
    columns = ("topic", "partition", "reason", "for s", "what it is")
    lines = [
        (one["topic"], one["partition"], one["reason"], f"{one['seconds']:.0f}", one["detail"])
        for one in several
    ]
    return table("partitions that are not read 停止的分区", columns, lines)
