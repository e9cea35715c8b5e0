"""Registers that programs have spoilt, through the real command, Postgres and export."""

import csv
from pathlib import Path
from typing import Any

import pytest
from support.cli import as_environment, petitionlink, refused
from support.exports import exported, imported, life
from support.workbooks import HEADER, Cell, Value, save_workbook
from support.world import count, rows

from node.runtime.settings import Settings

NUMBER = "110101199003075678"  # invented
TITLE = "U+FFFE 试\ufffe,_x0041_ 与 =1+1"


def saved(path: Path, *more: list[str]) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([HEADER, *more])
    return path


def person(number: str, identity: str) -> list[str]:
    return [number, "来信", "2026-01-05", "噪声扰民", "赵丙", identity, f"内容 {number}", "1"]


def run(at: Settings, path: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the command's counts, which add up, and the rows of its reject file."""
    rejects = path.with_suffix(".rejects.csv")
    command = ("import", path, "--rejects", rejects, "--format", "json")
    counts = petitionlink(*command, settings=as_environment(at)).json()
    assert counts["read"] == counts["registered"] + counts["duplicates"] + counts["rejected"]
    refused_rows = []
    if rejects.exists():
        with rejects.open(encoding="utf-8-sig", newline="") as file:
            refused_rows = list(csv.DictReader(file))
    assert len(refused_rows) == counts["rejected"]
    return counts, refused_rows


def test_one_person_is_one_however_the_number_is_kept_text_and_lost_numbers_are_nobody(
    shandong: Settings, tmp_path: Path
) -> None:
    kept = [NUMBER, f'="{NUMBER}"', f"'{NUMBER}", f"\t{NUMBER}", f"\u200b{NUMBER}"]
    lost = ["1.1010119900307122e+17", "1.1010119900307122E+17", "nan", "110101199003075678.0"]
    people = [person(f"QE-{n}", identity) for n, identity in enumerate([*kept, *lost])]
    counts, rejects = run(shandong, saved(tmp_path / "r.csv", *people))
    assert (counts["registered"], counts["rejected"]) == (len(kept), len(lost))
    assert [row["行号/row"] for row in rejects] == ["6", "7", "8", "9"]
    assert all(row["原因/reason"].startswith("column 证件号码: the value ") for row in rejects)
    assert [row["证件号码"] for row in rejects] == lost
    digests = "select distinct body -> 'identity_digest' from case_event"
    assert len(rows(shandong, digests)) == 1


def test_one_number_is_one_case_in_csv_and_in_a_workbook(
    shandong: Settings, tmp_path: Path
) -> None:
    row = person("000123", "")
    shown: list[Value] = [Cell("123", format="000000"), *row[1:5], None, row[6], Cell("1")]
    assert run(shandong, saved(tmp_path / "r.csv", row))[0]["registered"] == 1
    workbook = save_workbook(tmp_path / "r.xlsx", [HEADER, shown])
    assert run(shandong, workbook)[0]["duplicates"] == 1
    assert count(shandong, "petition_case") == 1


def test_rows_of_formulas_without_values_are_in_the_reject_file_with_their_cells(
    shandong: Settings, tmp_path: Path
) -> None:
    formula: list[Value] = [*person("X3-1", "")]
    formula[5] = Cell(formula='"110101"&"199003071234"')
    path = save_workbook(tmp_path / "r.xlsx", [HEADER, formula, person("X3-2", NUMBER)])
    counts, (reject,) = run(shandong, path)
    assert (counts["registered"], counts["rejected"]) == (1, 1)
    assert (reject["行号/row"], reject["文件行/line"]) == ("1", "2")
    assert "(F2, column 证件号码)" in reject["原因/reason"]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_text_that_xml_cannot_hold_leaves_an_export_that_is_read_again(
    beijing: Settings, shandong: Settings, tmp_path: Path, suffix: str
) -> None:
    life(beijing, title=TITLE)
    path = tmp_path / f"r{suffix}"
    made = exported(beijing, path)
    assert made.exported == 1
    totals, reasons = imported(shandong, path)
    assert (totals.registered, reasons) == (1, [])
    (title,) = rows(shandong, "select fold -> 'registration' ->> 'title' from petition_case")
    assert title == (TITLE if suffix == ".csv" else TITLE.replace("\ufffe", "\ufffd"),)
    assert made.whole == (suffix == ".csv")


def test_a_bomb_and_a_file_of_another_kind_are_one_line_and_exit_code_1(
    shandong: Settings, tmp_path: Path
) -> None:
    bomb = save_workbook(tmp_path / "b.xlsx", [HEADER], shared=["<t>a</t>"] * 2_000_000)
    old = tmp_path / "o.xls"
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    for path, problem in ((bomb, "which no register does"), (old, "is an old Excel workbook")):
        line = refused(petitionlink("import", path, settings=as_environment(shandong)))
        assert problem in line
