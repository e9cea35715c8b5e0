"""`petitionlink case show` and `case trace`: one case, and how its events travelled."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from node import localstack
from node.entrypoints.cli.node_settings import NodeOption, node_database, settings_for
from node.entrypoints.cli.output import (
    Format,
    FormatOption,
    china_second,
    node_name,
    print_data,
    table,
)
from node.kafka.topic_names import receiver_of
from node.postgres.connection import own_connected
from node.queries.case_history import read_case, read_events, read_hops
from node.runtime.settings import Settings
from schemas.instants import CHINA, now_micros, text_of

CaseArgument = Annotated[str, typer.Argument(metavar="ID", help="The case id 信访件编号.")]

app = typer.Typer(
    name="case",
    no_args_is_help=True,
    help="One case 信访件: what it is and how its events travelled.",
)


@app.command("show")
def show_command(
    case_id: CaseArgument, node: NodeOption = None, output: FormatOption = Format.table
) -> None:
    """Show a case as this node's ledger folds it, and its events; bodies with --format json."""
    with node_database(node, "case-show") as (settings, connection):
        case = read_case(connection, case_id)
        events = read_events(connection, case_id)
    data = {"node": settings.node, "case": case, "events": events}
    print_data(data, output, lambda: _case_tables(settings.node, case, events))


def _case_tables(node: str, case: dict[str, Any], events: list[dict[str, Any]]) -> Iterator[Table]:
    facts = [(name, value or None) for name, value in _facts(case)]
    yield table(f"case {case['case_id']} at node {node_name(node)}", ["", ""], facts)
    doubtful = [(e["version"], _short(e["event_type"]), e["time_in_doubt"])
                for e in events if e["time_in_doubt"]]  # fmt: skip
    if doubtful:
        yield table("dates in doubt 时间存疑", ("version", "event", "seen on arrival"), doubtful)
    if case["clocks"]:
        yield _clocks(case)
    rows = [
        (e["version"], _short(e["event_type"]), e["emitter"], e["emitter_sequence"],
         china_second(e["occurred_at"]), china_second(e["recorded_at"]), e["actor"])
        for e in events
    ]  # fmt: skip
    columns = ("version", "event", "emitter", "sequence", "occurred (UTC+8)", "recorded", "actor")
    yield table("events 事件", columns, rows)


def _facts(case: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [
        ("state 状态", case["state"]),
        ("title 标题", case["registration"].get("title")),
        ("registered by 登记机构", node_name(case["registered_by"])),
        ("handled by 承办节点", node_name(case["handled_by"])),
        ("participants 参与节点", ", ".join(map(node_name, case["participants"]))),
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
    finding = f"{case['finding'] or ''} {case['repeat_of'] or ''}".strip()
    return f"{finding}, group 集体访" if case["group"] else finding


def _supervision(supervision: dict[str, Any]) -> str:
    answered = "answered" if supervision["replied_at"] else "open"
    end = "lifted" if supervision["lifted_at"] else answered
    return f"{supervision['kind']} of {node_name(supervision['to'])}: {end}"


def _clocks(case: dict[str, Any]) -> Table:
    columns = ("clock", "owner", "started", "due", "met", "state")
    rows = [
        (clock["clock"], clock["owner"], _minute(clock["started_at"]), _due(clock["due_at"]),
         _minute(clock["met_at"]), _clock_state(clock))
        for clock in case["clocks"]
    ]  # fmt: skip
    return table("clocks 时限", columns, rows)


def _clock_state(clock: dict[str, Any]) -> str:
    provisional = ", provisional" if clock["provisional"] else ""
    if clock["met_at"] is not None:
        return ("on time" if clock["met_at"] < clock["due_at"] else "late") + provisional
    if clock["ended_at"] is not None:
        return "ended"
    return ("overdue" if clock["due_at"] <= now_micros() else "runs") + provisional


def _due(micros: int) -> str:
    """Return the minute; the end of a day is 24:00 of that day, as people write it."""
    minute = _minute(micros) or ""
    return f"{text_of(micros - 1)[:10]} 24:00" if minute.endswith(" 00:00") else minute


def _minute(micros: int | None) -> str | None:
    return None if micros is None else text_of(micros)[:16].replace("T", " ")


@app.command("trace")
def trace_command(
    case_id: CaseArgument, node: NodeOption = None, output: FormatOption = Format.table
) -> None:
    """Show each hop of each event 流转轨迹: where and when it was emitted, published, applied.

    `confirmed` is the receipt 回执: by then the receiver had durably applied it. With --node, the
    hops at all nodes of the local stack are shown, else those that this node knows.
    """
    with node_database(node, "case-trace") as (settings, connection):
        read_case(connection, case_id)  # raises if the case is unknown
    stack = localstack.load() if node else None
    places = [settings_for(code) for code in stack.nodes] if stack else [settings]
    hops = [hop for place in places for hop in _hops(place, case_id)]
    hops.sort(key=_in_order)
    print_data({"case_id": case_id, "hops": hops}, output, lambda: _hop_table(case_id, hops))


def _hops(place: Settings, case_id: str) -> Iterator[dict[str, Any]]:
    with own_connected(place, "case-trace") as connection:
        events = read_hops(connection, case_id)
    for event in events:
        names = ("event_id", "event_type", "version", "emitter", "time_in_doubt")
        about = {name: event[name] for name in names}
        if event["exchanged_at"] is None:
            yield _hop(about, "emitted", place.node, event["recorded_at"], (None, None, None))
        else:
            source = (event["source_topic"], event["source_partition"], event["source_offset"])
            yield _hop(about, "applied", place.node, event["exchanged_at"], source)
        for record in event["published"]:
            yield from _record_hops(about, place.node, record)


def _record_hops(
    about: dict[str, Any], node: str, record: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a record's hop into its topic, and what its receiver reported about it."""
    target = (record["topic"], record["partition"], record["offset"])
    kind = "published" if record["published_at"] else "pending"
    sent_at = record["published_at"] or record["enqueued_at"]
    yield _hop(about, kind, node, datetime.fromisoformat(sent_at), target)
    if record["confirmed_at"] is not None:
        kind = "dead-lettered" if record["dead_lettered"] else "confirmed"
        receiver, at = receiver_of(record["topic"]), datetime.fromisoformat(record["confirmed_at"])
        yield _hop(about, kind, receiver, at, target)


def _hop(
    about: dict[str, Any], kind: str, node: str, at: datetime, place: tuple[Any, Any, Any]
) -> dict[str, Any]:
    where = dict(zip(("topic", "partition", "offset"), place, strict=True))
    return {**about, "hop": kind, "node": node, "at": at, **where}


def _in_order(hop: dict[str, Any]) -> tuple[Any, ...]:
    """Sort by event; `emitted` comes first, `pending` last, the other hops by time."""
    rank = {"emitted": 0, "pending": 2}.get(hop["hop"], 1)
    return hop["version"], hop["emitter"], hop["event_id"], rank, hop["at"]


def _hop_table(case_id: str, hops: list[dict[str, Any]]) -> Table:
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


def _short(event_type: str) -> str:
    return event_type.removeprefix("petition.").removesuffix(".v1")
