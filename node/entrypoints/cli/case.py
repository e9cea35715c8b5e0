"""`petitionlink case show` and `case trace`: one case and the way of its events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from cases.nodes import NODES
from node import localstack
from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import Format, FormatOption, NodeOption, print_data, table
from node.kafka.topic_names import receiver_of
from node.postgres.connection import own_connected
from node.queries.case_history import read_case, read_events, read_hops
from node.runtime.clock import now_micros
from node.runtime.settings import Settings
from schemas.instants import CHINA, text_of

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
    settings = settings_for(node)
    with own_connected(settings, "case-show") as connection:
        case = read_case(connection, case_id)
        events = read_events(connection, case_id)
    data = {"node": settings.node, "case": case, "events": events}
    print_data(data, output, lambda: _shown(settings.node, case, events))


def _shown(node: str, case: dict[str, Any], events: list[dict[str, Any]]) -> Iterator[Table]:
    facts = [(name, value or None) for name, value in _facts(case)]
    yield table(f"case {case['case_id']} at node {_named(node)}", ["", ""], facts)
    doubtful = [(e["version"], _short(e["event_type"]), e["time_in_doubt"])
                for e in events if e["time_in_doubt"]]  # fmt: skip
    if doubtful:
        yield table("dates in doubt 时间存疑", ("version", "event", "seen on arrival"), doubtful)
    if case["clocks"]:
        yield _clocks(case)
    rows = [
        (e["version"], _short(e["event_type"]), e["emitter"], e["emitter_sequence"],
         _time(e["occurred_at"]), _time(e["recorded_at"]), e["actor"])
        for e in events
    ]  # fmt: skip
    columns = ("version", "event", "emitter", "sequence", "occurred (UTC+8)", "recorded", "actor")
    yield table("events 事件", columns, rows)


def _facts(case: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [
        ("state 状态", case["state"]),
        ("title 标题", case["registration"].get("title")),
        ("registered by 登记机构", _named(case["registered_by"])),
        ("handled by 承办节点", _named(case["handled_by"])),
        ("participants 参与节点", ", ".join(map(_named, case["participants"]))),
        ("rule set 法规", case["rule_set"]),
        ("first or repeat 初次重复", _finding(case)),
        ("merged into 并入", case["merged_into"]),
        ("outcome 处理结果", case["outcome"]),
        ("supervisions 督办", ", ".join(map(_supervision, case["supervisions"].values()))),
        ("evaluations 评价", ", ".join(f"{k}: {v}" for k, v in case["evaluations"].items())),
        ("missing 缺失", ", ".join(f"{g[0]} {g[1]}–{g[2]}" for g in case["gaps"])),
        ("conflicts 冲突", ", ".join(f"{c[0]}: {c[1]}" for c in case["conflicts"])),
    ]


def _finding(case: dict[str, Any]) -> str:
    found = f"{case['finding'] or ''} {case['repeat_of'] or ''}".strip()
    return f"{found}, group 集体访" if case["group"] else found


def _supervision(one: dict[str, Any]) -> str:
    end = "lifted" if one["lifted_at"] else "answered" if one["replied_at"] else "open"
    return f"{one['kind']} of {_named(one['to'])}: {end}"


def _clocks(case: dict[str, Any]) -> Table:
    columns = ("clock", "owner", "started", "due", "met", "state")
    rows = [
        (one["clock"], one["owner"], _micros(one["started_at"]), _due(one["due_at"]),
         _micros(one["met_at"]), _clock_state(one))
        for one in case["clocks"]
    ]  # fmt: skip
    return table("clocks 时限", columns, rows)


def _clock_state(one: dict[str, Any]) -> str:
    provisional = ", provisional" if one["provisional"] else ""
    if one["met_at"] is not None:
        return ("on time" if one["met_at"] < one["due_at"] else "late") + provisional
    if one["ended_at"] is not None:
        return "ended"
    return ("overdue" if one["due_at"] <= now_micros() else "runs") + provisional


def _due(micros: int) -> str | None:
    """24:00 of the last day, as rules and people say it."""
    shown = _micros(micros)
    ends_a_day = shown is not None and shown.endswith(" 00:00")
    return f"{(_micros(micros - 1) or '')[:10]} 24:00" if ends_a_day else shown


def _micros(micros: int | None) -> str | None:
    return None if micros is None else text_of(micros)[:16].replace("T", " ")


def trace_command(
    case_id: CaseArgument, node: NodeOption = None, output: FormatOption = Format.table
) -> None:
    """Each hop of each event 流转轨迹: emitted, published, confirmed, applied where and when.

    `confirmed` is the receipt 回执: by then the receiver had durably applied it. With --node,
    the hops at all nodes of the local stack; else those that this node knows.
    """
    settings = settings_for(node)
    with own_connected(settings, "case-trace") as connection:
        read_case(connection, case_id)  # says if it is unknown
    hops = [hop for place in _places(settings, node) for hop in _hops(place, case_id)]
    hops.sort(key=_in_order)
    print_data({"case_id": case_id, "hops": hops}, output, lambda: _traced(case_id, hops))


def _places(settings: Settings, node: str | None) -> list[Settings]:
    stack = localstack.load() if node else None
    if stack is None:
        return [settings]
    return [settings_for(code) for code in stack.nodes]


def _hops(place: Settings, case_id: str) -> Iterator[dict[str, Any]]:
    node = place.node
    with own_connected(place, "case-trace") as connection:
        events = read_hops(connection, case_id)
    for event in events:
        names = ("event_id", "event_type", "version", "emitter", "time_in_doubt")
        about = {name: event[name] for name in names}
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
            yield from _received(about, one)


def _received(about: dict[str, Any], published: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What its receiver said of a record: durably applied, or dead-lettered."""
    if published["confirmed_at"] is None:
        return
    receiver = receiver_of(published["topic"])
    kind = "dead-lettered" if published["dead_lettered"] else "confirmed"
    place = (published["topic"], published["partition"], published["offset"])
    yield _hop(about, receiver, kind, datetime.fromisoformat(published["confirmed_at"]), *place)


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
    columns = ("version", "event", "hop", "node", "at (UTC+8)", "where", "dates in doubt 时间存疑")
    rows = [
        (hop["version"], _short(hop["event_type"]), hop["hop"], hop["node"], _moment(hop["at"]),
         _where(hop), hop["time_in_doubt"] if hop["hop"] == "applied" else None)
        for hop in hops
    ]  # fmt: skip
    return table(f"trace of case {case_id}", columns, rows)


def _where(hop: dict[str, Any]) -> str | None:
    if hop["topic"] is None:
        return None
    place = "" if hop["partition"] is None else f" {hop['partition']}@{hop['offset']}"
    return f"{hop['topic'].removeprefix('petition.')}{place}"


def _moment(instant: datetime) -> str:
    return instant.astimezone(CHINA).isoformat(" ", "milliseconds")[5:23]


def _named(code: str | None) -> str:
    return f"{code} {NODES[code].chinese}" if code in NODES else (code or "nobody")


def _short(event_type: str) -> str:
    return event_type.removeprefix("petition.").removesuffix(".v1")


def _time(instant: datetime) -> str:
    return instant.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
