"""Registers imported by the real command line; the centre holds the same soon afterwards."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli import petitionlink
from support.ledgers import (
    assert_equal,
    assert_sound,
    await_settled,
    cases_of,
    empty_groups,
    forget_everything,
    query,
)
from support.processes import running_nodes
from support.real_data import REAL_DATA, needs_real_data
from support.registers import LONGEST_TEXT, make_register
from support.world import eventually

from cases.vocabulary import event_types as types
from node.localstack import LocalStack
from producers.register.case_steps import HANDLING
from producers.register.records import REASON, ROW

CENTRE, SHANDONG = "000000", "370000"
_IMPORTED = "select count(*) from case_event where event_type = any(%s)"
_IMPORTED_TYPES = [types.REGISTERED, *(step.event_type for step in HANDLING.values())]


@pytest.fixture(scope="module")
def _running(stack: LocalStack) -> Iterator[LocalStack]:
    empty_groups(stack)
    forget_everything(stack)
    with running_nodes(stack, CENTRE, SHANDONG):
        yield stack


@pytest.fixture
def network(_running: LocalStack) -> LocalStack:
    """Centre and Shandong run, their databases empty."""
    eventually(lambda: _emptied(_running), "the nodes are empty")
    return _running


def _emptied(stack: LocalStack) -> bool:
    """Forget all under running nodes (their positions stay); what was on its way comes after."""
    await_settled(stack)
    forget_everything(stack)
    await_settled(stack)
    return all(query(node, "select count(*) from case_event") == [(0,)] for node in stack.nodes)


def event_count(node: str) -> int:
    """Count a node's events of imports, without those of routines (repeats and expiries)."""
    return int(query(node, _IMPORTED, _IMPORTED_TYPES)[0][0])


def eventually_holds(check: Callable[..., None], *arguments: Any) -> None:
    """Wait until the oracle is content, because what routines do is always on its way."""

    def holds() -> bool:
        try:
            check(*arguments)
        except AssertionError:
            return False
        return True

    eventually(holds, check.__name__)


def imported(path: Path, folder: Path) -> Any:
    """Return the totals that `petitionlink import` prints for a file of messages at Shandong."""
    return petitionlink(
        *("import", path, "--mapping", "messages", "--node", SHANDONG, "--format", "json"),
        *("--rejects", folder / "rejects.csv"),
    ).json()


def rejects(folder: Path) -> list[dict[str, str]]:
    with (folder / "rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def balanced(totals: Any) -> bool:
    return bool(totals["read"] == totals["registered"] + totals["duplicates"] + totals["rejected"])


def transcoded(path: Path, folder: Path) -> Path:
    """Write the same register in GB18030, without a byte order mark."""
    copy = folder / f"gb18030-{path.name}"
    copy.write_bytes(path.read_bytes().decode("utf-8-sig").encode("gb18030"))
    return copy


def test_every_row_of_a_register_is_registered_a_duplicate_or_rejected_with_a_reason(
    network: LocalStack, tmp_path: Path
) -> None:
    made = make_register(tmp_path / "register.csv", 300, repeated=20)
    totals = imported(made.path, tmp_path)
    assert totals == made.totals
    assert balanced(totals)
    too_long, no_time, changed = rejects(tmp_path)
    last = made.read
    assert [row[ROW] for row in (too_long, no_time, changed)] == [
        str(number) for number in (last - 2, last - 1, last)
    ]
    assert str(LONGEST_TEXT) in too_long[REASON]
    assert "留言时间" in no_time[REASON]
    assert "already registered" in changed[REASON]
    await_settled(network)
    eventually_holds(assert_sound, network)
    assert event_count(CENTRE) == event_count(SHANDONG) == made.events


def test_a_second_import_of_the_same_register_adds_nothing(
    network: LocalStack, tmp_path: Path
) -> None:
    made = make_register(tmp_path / "register.csv", 300)
    imported(made.path, tmp_path)
    before = cases_of(SHANDONG)
    again = imported(made.path, tmp_path)
    assert again == made.totals | {"registered": 0, "duplicates": 300, "events": 0}
    await_settled(network)
    assert cases_of(SHANDONG) == cases_of(CENTRE) == before
    assert event_count(SHANDONG) == made.events


def test_a_register_in_gb18030_counts_the_same_and_holds_the_same_rows(
    network: LocalStack, tmp_path: Path
) -> None:
    made = make_register(tmp_path / "register.csv", 300, repeated=5)
    copy = transcoded(made.path, tmp_path)
    assert imported(copy, tmp_path) == made.totals
    # Rows that differed by one character only would be rejected as changed.
    again = imported(made.path, tmp_path)
    assert (again["duplicates"], again["rejected"]) == (305, made.rejected)


@needs_real_data
def test_the_citizens_messages_with_replies_arrive_at_the_centre_whole(
    network: LocalStack, tmp_path: Path
) -> None:
    path = REAL_DATA / "messages_with_replies.csv"
    totals = imported(path, tmp_path)
    assert totals["read"] == 1400
    assert balanced(totals)
    assert totals["registered"] > 1300
    if totals["rejected"]:
        found = rejects(tmp_path)
        assert len(found) == totals["rejected"]
        assert all(row[REASON] for row in found)
    await_settled(network)
    assert event_count(CENTRE) == event_count(SHANDONG) == totals["events"]
    eventually_holds(assert_equal, SHANDONG)
    again = imported(path, tmp_path)
    known = totals["registered"] + totals["duplicates"]
    assert again == totals | {"registered": 0, "events": 0, "duplicates": known}
    as_gb18030 = imported(transcoded(path, tmp_path), tmp_path)
    assert as_gb18030 == again
    await_settled(network)
    assert event_count(CENTRE) == event_count(SHANDONG) == totals["events"]
    eventually(lambda: _emptied(network), "the nodes are empty")
    assert imported(transcoded(path, tmp_path), tmp_path) == totals


@needs_real_data
def test_the_messages_with_texts_over_the_limit_are_rejected_with_the_reason(
    network: LocalStack, tmp_path: Path
) -> None:
    totals = imported(REAL_DATA / "messages.csv", tmp_path)
    assert totals["read"] == 2000
    assert balanced(totals)
    found = rejects(tmp_path)
    assert totals["rejected"] == len(found) == 4
    for row in found:
        assert str(LONGEST_TEXT) in row[REASON]
        assert len(row["留言详情"]) > LONGEST_TEXT
