"""`petitionlink status`: show whether this node keeps up."""

from collections.abc import Iterator
from typing import Any

import typer
from kafka import errors as kafka_errors
from rich.table import Table

from consumers.partition_status import partition_status
from node.entrypoints.cli.node_settings import NodeOption, node_database
from node.entrypoints.cli.output import Format, FormatOption, print_data, say, table
from node.entrypoints.cli.verify import findings_table
from node.postgres.connection import Connection
from node.queries.status import read_status
from node.reconcile.results import results
from node.runtime.errors import classified
from node.runtime.settings import Settings
from node.scrub import findings, position
from node.store import clock_skew
from schemas.instants import now_micros

_MOST_FINDINGS = 100

app = typer.Typer()


@app.command("status")
def status_command(node: NodeOption = None, output: FormatOption = Format.table) -> None:
    """Show position and lag of each partition, outbox, dead letters, incomplete cases 运行状态.

    The exit code is 1 if Kafka does not answer; the state in Postgres is shown all the same.
    """
    with node_database(node, "status") as (settings, connection):
        partitions, problem = _partitions(settings, connection)
        data = {
            **read_status(connection, settings.node),
            **_checks(connection),
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
        partitions = partition_status(settings, connection, now_micros())
    except kafka_errors.KafkaError as error:
        return None, classified(error)
    return [partition._asdict() for partition in partitions], None


def _checks(connection: Connection) -> dict[str, Any]:
    """Return the clock against the broker's, the last proofs, and the state of the scrub."""
    with connection, connection.cursor() as cursor:
        scrub = position.read(cursor)
        return {
            "clock_ahead_seconds": clock_skew.read(cursor, now_micros()).seconds,
            "reconciliation": [result._asdict() for result in results(cursor)],
            "scrub": {
                "complete_at": scrub.complete_at,
                "pass_began_at": scrub.began_at,
                "pass_events": scrub.events,
                "open_by_kind": findings.open_by_kind(cursor),
                "open": findings.open_findings(cursor, _MOST_FINDINGS),
            },
        }


def _scrub_tables(scrub: dict[str, Any], now: float) -> Iterator[Table]:
    at, opened = scrub["complete_at"], sum(scrub["open_by_kind"].values())
    cells = (f"{now - at:.0f}" if at else "never", scrub["pass_events"], opened)
    columns = ("last complete pass s ago", "events of this pass", "open findings")
    yield table("scrub 校验", columns, [cells])
    yield from findings_table("open findings 未修复", scrub["open"])


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
    own = data["own_events_only_here"]
    takes = "yes" if data["takes_commands"] else "no"
    cells = (takes, own["events"], f"{own['oldest_seconds']:.1f}", own["cases_to_look_at"])
    names = ("takes commands", "own events only here", "oldest s", "cases to look at")
    yield table("own topic 自有主题", names, [cells])
    now = now_micros() / 1e6
    proofs = [
        (proof["peer"], proof["mismatched"], f"{now - proof['last_success_at']:.0f}"
         if proof["last_success_at"] else None)
        for proof in data["reconciliation"]
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


def _stopped(partitions: list[dict[str, Any]]) -> Table:
    columns = ("topic", "partition", "reason", "for s", "what it is")
    lines = [
        (p["topic"], p["partition"], p["reason"], f"{p['seconds']:.0f}", p["detail"])
        for p in partitions
    ]
    return table("partitions that are not read 停止的分区", columns, lines)
