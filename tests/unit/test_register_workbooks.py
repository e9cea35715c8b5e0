"""Workbooks as other programs write them: what a cell shows is read, or its row is rejected."""

from pathlib import Path

import pytest
from support.workbook_rows import ROW, read, registered, rejected, with_cell
from support.workbooks import HEADER, Cell, Value, save_workbook

from producers.register import (
    Registration,
    Rejected,
)
from producers.register.workbook.number_format import NumberFormat, builtin_format

FORMULAS = (
    Cell(formula='"110101"&"199003071234"'),
    Cell(xml="<f>A1</f><v></v>"),
    Cell(xml="<f>A1</f>"),
    Cell(xml='<f t="shared" si="0"/><v/>'),
    Cell(xml='<f t="shared" ref="F2:F9" si="0">A1</f>'),
    Cell(xml='<f t="array" ref="F2">SUM(A1:A2)</f>'),
    Cell(xml='<f t="dataTable" ref="F2:F4" dt2D="0" r1="A1"/>'),
)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_that_was_never_computed_rejects_its_row_and_names_the_cell(
    tmp_path: Path, formula: Cell
) -> None:
    rows = [HEADER, with_cell(5, formula), ROW]
    bad, good = read(save_workbook(tmp_path / "r.xlsx", rows))
    assert isinstance(good, Registration)
    assert isinstance(bad, Rejected)
    assert (bad.row, bad.line) == (1, 2)
    assert "is a formula without its value (F2, column 证件号码)" in bad.reason


def test_a_row_of_nothing_but_such_formulas_is_not_passed_over(tmp_path: Path) -> None:
    rows = [HEADER, [None] * 6 + [Cell(formula="CONCATENATE(1,2)")]]
    assert "(G2, column 信访内容)" in rejected(save_workbook(tmp_path / "r.xlsx", rows))


def test_a_formula_with_its_value_is_that_value_and_an_empty_text_is_none(tmp_path: Path) -> None:
    row = with_cell(3, Cell("算出的标题", "str", formula='"x"'))
    row[6] = Cell("", "str", formula='""')
    row[7] = Cell("3", formula="1+2")
    path = save_workbook(tmp_path / "r.xlsx", [HEADER, row, [Cell("", "str", formula='""')]])
    found = registered(path).registered
    assert (found["title"], found.get("text"), found["persons"]) == ("算出的标题", None, 3)


@pytest.mark.parametrize(
    ("place", "cell", "problem"),
    [
        (5, Cell("#REF!", "e"), "holds the error #REF! (F2, column 证件号码)"),
        (6, Cell("#N/A", "e", formula="VLOOKUP(1,A:A,1)"), "holds the error #N/A (G2"),
        (5, Cell("#SPILL!", "e"), "holds the error #SPILL!"),
        (5, Cell("1.1010119900307123E+17"), "a number of more than 15 digits"),
        (0, Cell("1.1010119900307123E+17", format="0"), "a number of more than 15 digits"),
        (7, Cell("110101199003071226"), "a number of more than 15 digits"),
        (6, Cell("NaN"), "a number of more than 15 digits"),
        (0, Cell("45292", format="yyyy\\-m"), "is a date, which the spreadsheet has made"),
        (5, Cell("2024-05-06T00:00:00", "d"), "is a date, which the spreadsheet has made"),
        (2, Cell("99999999", format="yyyy-mm-dd"), "is formatted as a date and is none"),
        (2, Cell("-1", format="yyyy-mm-dd"), "is formatted as a date and is none"),
        (6, "#REF!", "is an error of the spreadsheet"),
    ],
)
def test_a_cell_that_lost_its_content_rejects_its_row(
    tmp_path: Path, place: int, cell: Value, problem: str
) -> None:
    path = save_workbook(tmp_path / "r.xlsx", [HEADER, with_cell(place, cell)])
    assert problem in rejected(path)


def test_a_column_that_is_passed_over_may_hold_anything(tmp_path: Path) -> None:
    header = [*HEADER[:5], "现状态"]
    for cell in (Cell(formula="A1"), Cell("#N/A", "e"), Cell("1E+300")):
        path = save_workbook(tmp_path / "r.xlsx", [header, with_cell(5, cell)[:6]])
        assert registered(path).origin_number == "虚构-1"


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("000000", "123", "000123"),
        ("0000-00", "202401", "2024-01"),
        ("000-0000-0000", "13800138000", "138-0013-8000"),
        ('"鲁"0000', "7", "鲁0007"),
        ("\\A000", "7", "A007"),
        ("00000_ ", "42", "00042"),
        ("00000;[Red]-00000", "42", "00042"),
        ("@", "123", "123"),
        ("General", "123", "123"),
        ('General"号"', "12", "12号"),
        ("0", "123.0", "123"),
        ("#,##0", "12345", "12345"),
        ("0.00E+00", "13800138000", "13800138000"),
        ("#,##0,", "12345", "12345"),
        ("0.00", "3.14159", "3.14"),
        ("0%", "0.5", "50%"),
        ("# ?/?", "0.5", "0.5"),
        ('[=1]"甲类";[=2]"乙类";0', "2", "乙类"),
        ('[=1]"甲类";[=2]"乙类";000', "3", "003"),
        ("[DBNum1][$-804]0", "12", "12"),
        ("[$-F800]000", "12", "012"),
        ('_ * #,##0_ ;_ * \\-#,##0_ ;_ * "-"_ ;_ @_ ', "0", "0"),
        ("000", "-7", "-007"),
        ("0.##", "2.5", "2.5"),
        (";;;", "123", "123"),
        ("", "123", "123"),
    ],
)
def test_a_number_counts_as_the_person_sees_it(
    tmp_path: Path, code: str, value: str, shown: str
) -> None:
    assert NumberFormat(code).shown(float(value)) == shown
    path = save_workbook(tmp_path / "r.xlsx", [HEADER, with_cell(6, Cell(value, format=code))])
    assert registered(path).registered["text"] == shown


def test_a_number_of_persons_is_its_value_however_it_is_shown(tmp_path: Path) -> None:
    for code in ("0000", '0"人"', "#,##0", "¥0.00", "@"):
        path = save_workbook(tmp_path / "r.xlsx", [HEADER, with_cell(7, Cell("1234", format=code))])
        assert registered(path).registered["persons"] == 1234


@pytest.mark.parametrize(
    "code",
    [
        'yyyy"年"m"月"d"日"',
        "yyyy/m/d h:mm",
        "[$-804]yyyy\\-mm\\-dd;@",
        "m/d/yy",
        "[h]:mm",
        "mmm-yy",
    ],
)
def test_dates_are_known_by_their_format(tmp_path: Path, code: str) -> None:
    assert NumberFormat(code).is_date
    row = with_cell(2, Cell("45418.39732638889", format=code))
    whole = with_cell(2, "2024-05-06 09:32:09")
    first, second = read(save_workbook(tmp_path / "r.xlsx", [HEADER, row, whole]))
    assert isinstance(first, Registration), first
    assert isinstance(second, Registration)
    assert first.received_at == second.received_at
    assert first.content_digest == second.content_digest


def test_formats_without_a_code_in_the_file_are_known_by_their_number() -> None:
    assert all(builtin_format(str(number)).is_date for number in (14, 22, 31, 57))
    assert not any(builtin_format(str(number)).is_date for number in (0, 1, 4, 9, 49, 163))
    for code in ("#,##0.00;[Red]-#,##0.00", '"day"0', "0\\d", "General", "[Magenta]0", "0.00E+00"):
        assert not NumberFormat(code).is_date, code


def test_true_and_false_rich_text_and_readings_are_read(tmp_path: Path) -> None:
    rich = "<r><t>第一</t></r><r><rPr><b/></rPr><t xml:space='preserve'> 第二</t></r>"
    reading = "<t>標題</t><rPh sb='0' eb='2'><t>biaoti</t></rPh>"
    row = with_cell(3, Cell("1", "s"))
    row[6] = Cell("0", "s")
    header = [*HEADER, "是否公开"]
    path = save_workbook(
        tmp_path / "r.xlsx", [header, [*row, Cell("1", "b")]], shared=[rich, reading]
    )
    found = registered(path).registered
    assert (found["text"], found["title"], found["public"]) == ("第一 第二", "標題", True)
