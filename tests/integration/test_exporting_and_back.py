"""A case that one office exports 导出 is the same at another one, or is counted as partial."""

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as examples
from support.exports import (
    BEIJING,
    LIVES,
    SENTENCES,
    SHANDONG,
    TOLD,
    exported,
    imported,
    instant,
    life,
)
from support.real_data import MESSAGES_WITH_REPLIES, needs_real_data
from support.world import count, do, register, rows

from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.settings import Settings
from node.store.write_events import pack_own, write_own_events
from producers.commands.draft_event import Command, draft
from producers.register import Registration, Rejected, load_mapping, read_register
from producers.register_export.export_cases import ExportTotals
from producers.register_import.prepare_rows import draft_row
from schemas.catalogue import catalogue
from schemas.validation.forms import fill


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_what_one_office_wrote_comes_back_at_another(
    beijing: Settings, shandong: Settings, tmp_path: Path, suffix: str
) -> None:
    for number, steps in enumerate(LIVES.values()):
        life(beijing, *steps, origin_number=f"虚构-{number}", text=SENTENCES[number])
    path = tmp_path / f"register{suffix}"
    made = exported(beijing, path)
    assert made == ExportTotals(exported=len(LIVES), whole=len(LIVES))
    totals, reasons = imported(shandong, path)
    assert (totals.registered, reasons) == (len(LIVES), [])
    assert rows(shandong, TOLD) == rows(beijing, TOLD)
    assert totals.events == count(beijing, "case_event")


def _texts(longest: int) -> strategies.SearchStrategy[str]:
    signs = strategies.characters(exclude_categories=["Cs"], exclude_characters="\0")
    drawn = strategies.text(signs, max_size=longest)
    return strategies.sampled_from(SENTENCES) | drawn


_ROWS = strategies.fixed_dictionaries(
    {"title": _texts(200).filter(str.strip), "channel": strategies.sampled_from(["web", "letter"])},
    optional={
        "text": _texts(300),
        "purpose": _texts(50),
        "persons": strategies.integers(1, 1_000_000),
        "joint_signed": strategies.booleans(),
        "urgent": strategies.booleans(),
        "public": strategies.booleans(),
        "petition_class": strategies.sampled_from(["", "suggestion", "claim"]),
        "claim_path": strategies.sampled_from(["", "1", "6"]),
        "accused": strategies.lists(_texts(20), max_size=3),
        "area": strategies.sampled_from(["", "370102", "370102001001"]),
        "registering_body": _texts(100),
    },
)


@examples(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cases=strategies.lists(
        strategies.tuples(_ROWS, strategies.sampled_from([*LIVES]), strategies.integers(0, 10**6)),
        min_size=1,
        max_size=8,
    ),
    suffix=strategies.sampled_from([".csv", ".xlsx"]),
)
def test_rows_that_are_said_to_be_whole_are(
    beijing: Settings,
    shandong: Settings,
    tmp_path: Path,
    cases: list[tuple[dict[str, Any], str, int]],
    suffix: str,
) -> None:
    """Whatever the texts are: an import refuses a row, or the row was counted as partial, or the
    import makes the very same case of it."""
    for one in (beijing, shandong):
        rows(one, "truncate case_event, petition_case, imported_row, outbox, case_clock")
    written = _written(beijing, cases)
    path = tmp_path / f"drawn{suffix}"
    made = exported(beijing, path, force=True)
    assert made.exported == made.whole + made.partial == len(cases)
    imported(shandong, path)
    same = [case for case in _by_number(shandong) if case in written]
    assert len(same) == made.whole


def _written(at: Settings, cases: list[tuple[dict[str, Any], str, int]]) -> list[Any]:
    """Cases as registers would have made them, but with texts that no register cleaned."""
    office = open_office(at)
    with connected(at.dsn, "test") as connection, connection, connection.cursor() as cursor:
        for number, (registered, kind, micros) in enumerate(cases):
            body = {**registered, "origin_number": f"虚构-{number}", "received_at": instant(0)}
            fill(catalogue().by_type["petition.case.registered.v1"], body)
            steps = [
                (name, instant(day) + micros, {**more})
                for day, (name, more) in enumerate(LIVES[kind], 1)
            ]
            at_ = instant(0.1) + micros
            row = Registration(
                1, 1, "test", f"虚构-{number}", body, instant(0), at_, None, steps, "", {}
            )
            write_own_events(cursor, office.node, pack_own(draft_row(office, row).events))
    return _by_number(at)


def _by_number(at: Settings) -> list[Any]:
    """Return the history of each case as one value."""
    found: dict[str, list[Any]] = {}
    current = ""
    for event_type, micros, body in rows(at, TOLD):
        current = body.get("origin_number", current)
        found.setdefault(current, []).append((event_type, micros, body))
    return [*found.values()]


def test_what_another_office_did_is_told_but_not_imported_as_ones_own(
    beijing: Settings, shandong: Settings, tmp_path: Path
) -> None:
    life(beijing, origin_number="虚构-2")
    case_id = life(beijing)
    moved = do(beijing, "forward", case_id=case_id, to=SHANDONG, occurred_at=instant(1))
    land = Command("land", case_id, instant(2), "desk", {})
    landed = draft(open_office(shandong), moved.case, land)
    with connected(beijing.dsn, "test") as connection, connection, connection.cursor() as cursor:
        write_own_events(cursor, BEIJING, pack_own([landed]))
    path = tmp_path / "r.csv"
    assert exported(beijing, path) == ExportTotals(exported=2, whole=1, partial=1)
    totals, (reason,) = imported(shandong, path)
    assert totals.registered == 1
    assert "case" in reason
    with path.open(encoding="utf-8-sig", newline="") as file:
        told = {row["登记编号"]: row for row in csv.DictReader(file)}["虚构-1"]
    assert (told["转送节点"], told["现状态"], told["现承办节点"]) == ("山东省", "已落地", "山东省")
    assert told["落地时间"].startswith("2019-01-09")


def test_a_case_without_a_number_goes_by_its_id_and_does_not_come_back_where_it_is(
    beijing: Settings, shandong: Settings, tmp_path: Path
) -> None:
    case_id = register(beijing)
    path = tmp_path / "r.csv"
    exported(beijing, path)
    totals, (reason,) = imported(beijing, path)
    assert (totals.registered, count(beijing, "petition_case")) == (0, 1)
    assert f"exported from case {case_id}" in reason
    totals, _ = imported(shandong, path)
    assert totals.registered == 1
    assert rows(
        shandong, "select fold -> 'registration' ->> 'origin_number' from petition_case"
    ) == [(case_id,)]


@needs_real_data
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_the_published_messages_come_back(
    beijing: Settings, shandong: Settings, tmp_path: Path, suffix: str
) -> None:
    imported(beijing, MESSAGES_WITH_REPLIES, "messages")
    path = tmp_path / f"register{suffix}"
    assert exported(beijing, path) == ExportTotals(exported=1400, whole=1400)
    totals, reasons = imported(shandong, path)
    assert (totals.registered, reasons) == (1400, [])
    assert rows(shandong, TOLD) == rows(beijing, TOLD)
    assert [
        one for one in read_register(path, load_mapping("register")) if isinstance(one, Rejected)
    ] == []
