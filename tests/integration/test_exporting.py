"""Export 导出: which cases, which columns, what stays sealed; nothing is said that is not so."""

import csv
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from support.cli import as_environment, petitionlink, refused
from support.exports import (
    ACCEPT,
    BEIJING,
    SENTENCES,
    SHANDONG,
    exported,
    imported,
    life,
)
from support.world import do, register, rows

from cases.case import State
from node.entrypoints.cli.export import _selection
from node.queries.export import CaseSelection
from node.runtime.settings import Settings
from producers.register import load_mapping
from producers.register.errors import RegisterError
from producers.register_export.case_to_row import _STATES
from producers.register_export.export_cases import ExportRequest, ExportTotals
from schemas.errors import PetitionLinkError


def test_petitioners_are_opened_only_when_asked_for_and_that_is_audited(
    beijing: Settings, shandong: Settings, tmp_path: Path
) -> None:
    petitioner = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}
    life(beijing, petitioner=petitioner)
    life(beijing, origin_number="虚构-2", anonymous=True)
    plain, full = tmp_path / "plain.csv", tmp_path / "full.csv"
    assert exported(beijing, plain) == ExportTotals(exported=2, whole=2)
    assert "张示例" not in plain.read_text(encoding="utf-8")
    assert exported(beijing, full, ExportRequest(petitioners=True)) == ExportTotals(2, 2, 0, 1, 0)
    assert "张示例" in full.read_text(encoding="utf-8")
    audited = rows(beijing, "select actor, action, detail from audit_log order by id")
    assert [action for _, action, _ in audited] == ["export", "export.begun", "export"]
    assert audited[2][2]["with_petitioner"] is True
    assert (audited[2][2]["exported"], audited[2][2]["petitioners"]) == (2, 1)
    assert "张示例" not in str(audited)
    imported(shandong, full)
    digest = "select identity_digest from petition_case order by 1"
    assert rows(shandong, digest) == rows(beijing, digest)


def test_a_petitioner_that_is_not_sealed_for_this_node_stays_sealed_and_is_counted(
    beijing: Settings, tmp_path: Path
) -> None:
    life(beijing, petitioner={"name": "张示例"})
    rows(
        beijing,
        "update case_event set body = jsonb_set(body, '{petitioner,keys}', "
        "(select jsonb_agg(one) from jsonb_array_elements(body #> '{petitioner,keys}') one "
        "where one ->> 'node' <> '110000'))",
    )
    made = exported(beijing, tmp_path / "r.csv", ExportRequest(petitioners=True))
    assert (made.exported, made.petitioners, made.unreadable) == (1, 0, 1)


def test_a_case_that_a_row_cannot_tell_is_partial(beijing: Settings, tmp_path: Path) -> None:
    life(beijing, ACCEPT, ("progress", {"progress": "正在核查"}))
    life(beijing, origin_number="虚构-2", title="未整理  ", text="a\r\nb")
    life(beijing, origin_number="虚构-3")
    case_id = life(beijing, origin_number="虚构-4")
    corrections = [{"field": "area", "value": "110105"}]
    do(beijing, "correct", case_id=case_id, corrections=corrections, reason="写错")
    assert exported(beijing, tmp_path / "r.csv") == ExportTotals(exported=4, whole=1, partial=3)
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        areas = {row["登记编号"][-1]: row["问题属地"] for row in csv.DictReader(file)}
    assert areas == {"1": "", "2": "", "3": "", "4": "110105"}


def test_an_event_without_effect_is_not_told(beijing: Settings, tmp_path: Path) -> None:
    life(beijing, ACCEPT)
    rows(
        beijing,
        "update petition_case set fold = jsonb_set(fold, '{conflicts}', (select jsonb_build_array("
        "jsonb_build_array(event_id, 'x')) from case_event where version = 2))",
    )
    exported(beijing, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["受理时间"] == ""


def test_cases_are_chosen_by_day_state_and_node(beijing: Settings, tmp_path: Path) -> None:
    life(beijing, ACCEPT, origin_number="虚构-1")
    midnight = datetime(2019, 1, 8, 16, tzinfo=UTC)  # 2019-01-09 00:00 in China
    for number, moment in (("虚构-2", midnight - timedelta(seconds=1)), ("虚构-3", midnight)):
        micros = int(moment.timestamp() * 1_000_000)
        register(beijing, origin_number=number, received_at=micros, occurred_at=micros)

    def numbers(**chosen: Any) -> list[str]:
        path = tmp_path / "r.csv"
        exported(beijing, path, ExportRequest(CaseSelection(**chosen)), force=True)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row["登记编号"] for row in csv.DictReader(file)]

    assert numbers() == ["虚构-1", "虚构-2", "虚构-3"]
    assert numbers(first=date(2019, 1, 8), last=date(2019, 1, 8)) == ["虚构-2"]
    assert numbers(first=date(2019, 1, 9)) == ["虚构-3"]
    assert numbers(last=date(2019, 1, 7)) == ["虚构-1"]
    assert numbers(states=("accepted",)) == ["虚构-1"]
    assert numbers(registered_by=(SHANDONG,)) == []
    assert numbers(handled_by=(BEIJING,), states=("registered",)) == ["虚构-2", "虚构-3"]


def test_the_file_is_the_owners_whole_or_not_there_and_never_replaced_unasked(
    beijing: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life(beijing)
    path = tmp_path / "r.csv"
    exported(beijing, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(RegisterError, match=r"r\.csv: is there already: .* --force"):
        exported(beijing, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("producers.register_export.export_cases.case_to_row", lambda case: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            exported(beijing, path, force=True)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["r.csv"]
    for name, problem in (("r.txt", "end it in .csv or .xlsx"), ("no/r.csv", "cannot be written")):
        with pytest.raises(RegisterError, match=problem):
            exported(beijing, tmp_path / name)


def test_nothing_that_a_citizen_wrote_becomes_a_formula(beijing: Settings, tmp_path: Path) -> None:
    for number, text in enumerate(SENTENCES):
        life(beijing, origin_number=f"虚构-{number}", text=text, title=f"={number}")
    exported(beijing, tmp_path / "r.csv")
    exported(beijing, tmp_path / "r.xlsx")
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        assert not any(
            cell[:1] in set("=+-@＝\t") for row in csv.reader(file) for cell in row if cell
        )
    sheet = load_workbook(tmp_path / "r.xlsx").worksheets[0]
    assert {cell.data_type for line in sheet.iter_rows() for cell in line} <= {
        "s",
        "n",
        "inlineStr",
    }
    assert sheet.freeze_panes == "A2"


def test_every_state_has_a_name_for_people() -> None:
    states = {value for name, value in vars(State).items() if name.isupper()}
    assert set(_STATES) == states - {State.UNKNOWN}


def test_the_commands_print_counts_and_refuse_with_one_line(
    beijing: Settings, tmp_path: Path
) -> None:
    life(beijing, ACCEPT)
    life(beijing, origin_number="虚构-2", text=" x")
    path, given = tmp_path / "r.xlsx", as_environment(beijing)
    chosen = ("--from", "2019-01-01", "--state", "accepted", "--state", "registered")
    done = petitionlink("export", path, *chosen, "--format", "json", settings=given)
    counts = {"exported": 2, "whole": 1, "partial": 1, "petitioners": 0, "unreadable": 0}
    assert done.json() == counts
    assert "only a part of their case: 1" in done.err
    assert "is there already" in refused(petitionlink("export", path, settings=given))
    template = petitionlink("template", tmp_path / "t.csv", "--format", "json")
    assert template.json()["columns"] == len(load_mapping("register").columns)


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"first": "gestern"}, "--from 'gestern' is no day: write it as 2026-01-31"),
        ({"first": "2026-02-01", "last": "2026-01-31"}, "is after --to"),
        ({"states": ["closd"]}, "--state 'closd' is unknown: use one of .*, closed,"),
        ({"registered_by": ["999999"]}, "999999"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(chosen: dict[str, Any], problem: str) -> None:
    choice = {"first": None, "last": None, "states": None, "registered_by": None, **chosen}
    with pytest.raises(PetitionLinkError, match=problem):
        _selection(**choice, handled_by=None)
