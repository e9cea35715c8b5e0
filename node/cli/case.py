"""`petitionlink case show` and `case trace`: one case and the way of its events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from cases.nodes import NODES
from node import localstack
from node.cli.output import Format, FormatOption, NodeOption, print_data, table
from node.postgres import own_connected
from node.reading import read_case, read_events, read_hops
from node.settings import Settings, load_settings

CaseArgument = Annotated[str, typer.Argument(metavar="ID", help="The case id 信访件编号.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="One case 信访件: what it is and how its events travelled.")
    group.command("show")(show_command)
    group.command("trace")(trace_command)
    app.add_typer(group, name="case", no_args_is_help=True)


def show_command(
    case_id: CaseArgument, node: NodeOption = None, output: FormatOption = Format.table
) -> None:
    """The case as this node's ledger folds it, and its events; bodies with --format json."""
    settings = load_settings(node)
    with own_connected(settings, "case-show") as connection:
        case = read_case(connection, case_id)
        events = read_events(connection, case_id)
    data = {"node": settings.node, "case": case, "events": events}
    print_data(data, output, lambda: _shown(settings.node, case, events))


def _shown(node: str, case: dict[str, Any], events: list[dict[str, Any]]) -> Iterator[Table]:
    facts = [
        ("state 状态", case["state"]),
        ("title 标题", case["registration"].get("title")),
        ("registered by 登记机构", _named(case["registered_by"])),
        ("handled by 承办节点", _named(case["handled_by"])),
        ("participants 参与节点", ", ".join(map(_named, case["participants"]))),
        ("rule set 法规", case["rule_set"]),
        ("outcome 处理结果", case["outcome"]),
        ("evaluations 评价", ", ".join(f"{k}: {v}" for k, v in case["evaluations"].items())),
        ("missing 缺失", ", ".join(f"{g[0]} {g[1]}–{g[2]}" for g in case["gaps"])),
        ("conflicts 冲突", ", ".join(f"{c[0]}: {c[1]}" for c in case["conflicts"])),
    ]
    title = f"case {case['case_id']} at node {_named(node)}"
    yield table(title, ["", ""], [(name, value or None) for name, value in facts])
    rows = [
        (e["version"], _short(e["event_type"]), e["emitter"], e["emitter_sequence"],
         _time(e["occurred_at"]), _time(e["recorded_at"]), e["actor"])
        for e in events
    ]  # fmt: skip
    columns = ("version", "event", "emitter", "sequence", "occurred", "recorded", "actor")
    yield table("events 事件", columns, rows)


def trace_command(
    case_id: CaseArgument, node: NodeOption = None, output: FormatOption = Format.table
) -> None:
    """Each hop of each event 流转轨迹: emitted, published, applied where and when.

    With --node, the hops at all nodes of the local stack; else those that this node knows.
    """
    settings = load_settings(node)
    with own_connected(settings, "case-trace") as connection:
        read_case(connection, case_id)  # says if it is unknown
    hops = [hop for place in _places(settings, node) for hop in _hops(place, case_id)]
    hops.sort(key=_in_order)
    print_data({"case_id": case_id, "hops": hops}, output, lambda: _traced(case_id, hops))


def _places(settings: Settings, node: str | None) -> list[Settings]:
    stack = localstack.load() if node else None
    if stack is None:
        return [settings]
    return [load_settings(code) for code in stack.nodes]


def _hops(place: Settings, case_id: str) -> Iterator[dict[str, Any]]:
    node = place.node
    with own_connected(place, "case-trace") as connection:
        events = read_hops(connection, case_id)
    for event in events:
        about = {name: event[name] for name in ("event_id", "event_type", "version", "emitter")}
        if event["exchanged_at"] is None:
            yield _hop(about, node, "emitted", event["recorded_at"])
        else:
            source = (event["source_topic"], event["source_partition"], event["source_offset"])
            yield _hop(about, node, "applied", event["exchanged_at"], *source)
        for one in event["published"]:
            kind = "published" if one["published_at"] else "pending"
            target = (one["topic"], one["partition"], one["offset"])
            at = datetime.fromisoformat(one["published_at"] or one["enqueued_at"])
            yield _hop(about, node, kind, at, *target)


def _hop(
    about: dict[str, Any],
    node: str,
    kind: str,
    at: datetime,
    topic: str | None = None,
    partition: int | None = None,
    offset: int | None = None,
) -> dict[str, Any]:
    place = {"topic": topic, "partition": partition, "offset": offset}
    return {**about, "hop": kind, "node": node, "at": at, **place}


def _in_order(hop: dict[str, Any]) -> tuple[Any, ...]:
    """By event; its making first, what still waits last, the rest by time."""
    rank = {"emitted": 0, "pending": 2}.get(hop["hop"], 1)
    return hop["version"], hop["emitter"], hop["event_id"], rank, hop["at"]


def _traced(case_id: str, hops: list[dict[str, Any]]) -> Table:
    columns = ("version", "event", "hop", "node", "at", "topic", "partition", "offset")
    rows = [
        (hop["version"], _short(hop["event_type"]), hop["hop"], hop["node"], hop["at"].isoformat(),
         hop["topic"], hop["partition"], hop["offset"])
        for hop in hops
    ]  # fmt: skip
    return table(f"trace of case {case_id}", columns, rows)


def _named(code: str | None) -> str:
    return f"{code} {NODES[code].chinese}" if code in NODES else (code or "nobody")


def _short(event_type: str) -> str:
    return event_type.removeprefix("petition.").removesuffix(".v1")


def _time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S")
