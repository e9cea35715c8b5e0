"""`--format json`: exactly one JSON document on stdout, everything else on stderr."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import as_environment, petitionlink, run_cli
from support.registers import make_register
from support.world import register

from node.localstack import LocalStack
from node.runtime.settings import Settings

SHANDONG = "370000"


@pytest.fixture
def settings(fresh_settings: Callable[[str], Settings]) -> Settings:
    return fresh_settings(SHANDONG)


def test_import_prints_its_totals(settings: Settings, tmp_path: Path) -> None:
    made = make_register(tmp_path / "register.csv", 30, repeated=2)
    done = petitionlink(
        *("import", made.path, "--mapping", "messages", "--format", "json"),
        settings=as_environment(settings),
    )
    assert done.json() == made.totals
    # Beside the register, unless another place is named.
    assert (tmp_path / "register.rejected.csv").is_file()
    assert "rows refused: 3;" in done.err


def test_import_of_a_register_without_faults_leaves_no_reject_file(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "register.jsonl"
    row = {"留言编号": "1", "留言用户": "甲", "留言主题": "水", "留言时间": "2026-01-05 08:00"}
    path.write_text(json.dumps(row | {"留言详情": "停水"}, ensure_ascii=False), encoding="utf-8")
    done = petitionlink(
        *("import", path, "--mapping", "messages", "--format", "json"),
        settings=as_environment(settings),
    )
    expected = {"read": 1, "registered": 1, "duplicates": 0, "rejected": 0, "events": 1}
    assert done.json() == expected
    assert [*tmp_path.iterdir()] == [path]


def test_status_prints_positions_outbox_and_counts(settings: Settings) -> None:
    register(settings)
    shown = run_cli("status", "--format", "json", settings=as_environment(settings)).json()
    assert shown["node"] == SHANDONG
    assert (shown["events"], shown["cases"], shown["dead_letters_open"]) == (1, 1, 0)
    (outbox,) = shown["outbox"]
    assert (outbox["topic"], outbox["pending"]) == (f"petition.uplink.{SHANDONG}", 1)
    assert outbox["oldest_pending_seconds"] >= 0
    assert [partition["partition"] for partition in shown["partitions"]] == [*range(6)]
    for partition in shown["partitions"]:
        assert partition["lag_records"] == partition["end"] - partition["position"]


def test_case_show_prints_the_fold_and_the_events(settings: Settings) -> None:
    case_id = register(settings)
    environment = as_environment(settings)
    shown = run_cli("case", "show", case_id, "--format", "json", settings=environment).json()
    assert shown["case"]["case_id"] == case_id
    assert shown["case"]["state"] == "registered"
    (event,) = shown["events"]
    assert event["event_type"] == "petition.case.registered.v1"
    assert event["recorded_at"].endswith("+00:00")


def test_case_trace_prints_the_hops(settings: Settings) -> None:
    case_id = register(settings)
    environment = as_environment(settings)
    trace = run_cli("case", "trace", case_id, "--format", "json", settings=environment).json()
    assert trace["case_id"] == case_id
    assert [hop["hop"] for hop in trace["hops"]] == ["emitted", "pending"]


def test_stack_status_prints_servers_and_nodes(stack: LocalStack) -> None:
    shown = run_cli("stack", "status", "--format", "json").json()
    assert shown["up"] is True
    assert {node["node"] for node in shown["nodes"]} >= {SHANDONG, "000000"}


def test_topics_plan_prints_each_topic(stack: LocalStack) -> None:
    shown = run_cli("topics", "plan", "--format", "json").json()
    topics = {change["topic"]: change["action"] for change in shown}
    assert topics[f"petition.uplink.{SHANDONG}"] == "unchanged"


def test_a_table_is_what_a_person_gets_unless_json_is_asked_for(settings: Settings) -> None:
    done = run_cli("status", settings=as_environment(settings))
    assert done.code == 0
    assert f"node {SHANDONG}" in done.out
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.out)
