"""Workbooks as other programs write them: what a cell shows is read, or its row is rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from openpyxl import Workbook
from support.workbooks import HEADER, STRICT, Cell, Value, save_workbook

from producers.register import (
    RegisterError,
    Registration,
    Rejected,
    load_mapping,
    read_register,
)
from producers.register.workbook.number_format import NumberFormat, builtin_format
from producers.register.workbook.strings import escaped, unescaped

MAPPING = load_mapping("register")
ROW: tuple[Value, ...] = ("虚构-1", "来信", "2024-05-06", "虚构标题", "张示例", None, "内容", None)


def with_cell(place: int, cell: Value, row: tuple[Value, ...] = ROW) -> list[Value]:
    return [*row[:place], cell, *row[place + 1 :]]


def read(path: Path) -> list[Registration | Rejected]:
    return list(read_register(path, MAPPING))


def registered(path: Path) -> Registration:
    (row,) = read(path)
    assert isinstance(row, Registration), row
    return row


def rejected(path: Path) -> str:
    (row,) = read(path)
    assert isinstance(row, Rejected), row
    return row.reason


def refusal(path: Path) -> str:
    with pytest.raises(RegisterError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


@pytest.mark.parametrize("prefix", ["", "x"])
def test_strict_open_xml_and_prefixed_names_are_read(tmp_path: Path, prefix: str) -> None:
    row = with_cell(0, Cell("0", "s"))
    path = save_workbook(
        tmp_path / "r.xlsx", [HEADER, row], namespace=STRICT, shared=["<t>甲-1</t>"], prefix=prefix
    )
    assert registered(path).origin_number == "甲-1"


def test_merged_cells_reject_the_rows_that_lack_their_own_value(tmp_path: Path) -> None:
    merged = '<mergeCells count="1"><mergeCell ref="C2:C4"/></mergeCells>'
    rows = [HEADER, ROW, with_cell(2, None), with_cell(0, "虚构-3"), with_cell(0, "虚构-4")]
    found = read(save_workbook(tmp_path / "r.xlsx", rows, after_rows=merged))
    assert [type(row) for row in found] == [Registration, Rejected, Rejected, Registration]
    assert isinstance(found[1], Rejected)
    assert "is merged with C2 (C3, column 信访日期): unmerge and fill it in" in found[1].reason


def test_hyperlinks_and_claims_of_size_change_nothing(tmp_path: Path) -> None:
    link = '<hyperlinks><hyperlink ref="D2" location="x!A1" display="别的"/></hyperlinks>'
    for size in ("A1", "A1:XFD1048576", "XFD1048576"):
        path = save_workbook(tmp_path / "r.xlsx", [HEADER, ROW], after_rows=link, dimension=size)
        assert registered(path).registered["title"] == "虚构标题"


@pytest.mark.parametrize(
    "header",
    [
        [
            "登记编号*",
            "信访形式：",
            "信访\n日期",
            "标  题",
            "姓\u3000名",
            "证件_x000D_\n号码",
            " 信访 内容\t",
        ],
        [
            "＊登记编号",
            "信访形式:",
            "信访\u200b日期",
            "标题（必填）",
            "姓 名(选填)",
            "证件\xa0号码",
            "*信访内容*：",
        ],
    ],
)
def test_a_header_is_the_same_however_it_is_laid_out(tmp_path: Path, header: list[str]) -> None:
    row = with_cell(5, "000")[:7]
    assert (
        registered(save_workbook(tmp_path / "r.xlsx", [header, row])).registered["text"] == "内容"
    )
    cells = [cell if isinstance(cell, str) else "" for cell in row]
    for separator in (",", "\t", ";"):
        lines = [separator.join(f'"{cell}"' for cell in line) for line in (header, cells)]
        (tmp_path / "r.csv").write_text("\n".join(lines), encoding="utf-8")
        assert registered(tmp_path / "r.csv").petitioner == {
            "name": "张示例",
            "id_number": "000",
            "id_type": "resident_id",
        }


@pytest.mark.parametrize("hint", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_first_line_that_tells_excel_the_separator_is_no_header(
    tmp_path: Path, hint: str
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"{hint}\n登记编号;信访形式;信访日期;标题\n1;来信;2024-05-06;虚构\n", "utf-8")
    assert registered(path).line == 3


def test_headers_that_differ_in_layout_only_are_there_twice(tmp_path: Path) -> None:
    path = save_workbook(tmp_path / "r.xlsx", [[*HEADER, "姓  名"], ROW])
    assert "column 姓名 there twice" in refusal(path)
    (tmp_path / "r.jsonl").write_text('{"标题": "1", "标 题": "2"}', encoding="utf-8")
    assert "names a column twice" in refusal(tmp_path / "r.jsonl")


def test_escapes_of_excel_are_the_characters_that_it_shows(tmp_path: Path) -> None:
    assert unescaped("_x4E00__x005F_x4E00_ _xD840__xDC00_ _x12_") == "一_x4E00_ 𠀀 _x12_"
    for text in ("_x000D_", "a_x005F_b", "_x_x0041_", "_xD840_", "plain", "_x005F_x0041_x0042_"):
        assert unescaped(escaped(text)) == text
    row = with_cell(6, Cell(xml="<is><t>一_x000D_\n二_x005F_x0041_</t></is>", kind="inlineStr"))
    assert registered(save_workbook(tmp_path / "r.xlsx", [HEADER, row])).registered["text"] == (
        "一\n二_x0041_"
    )


@pytest.mark.parametrize("escape", ["_x0000_", "_xD800_"])
def test_an_escape_that_no_database_holds_is_rejected(tmp_path: Path, escape: str) -> None:
    row = with_cell(6, Cell(xml=f"<is><t>一{escape}</t></is>", kind="inlineStr"))
    assert "NUL or half of a surrogate pair" in rejected(
        save_workbook(tmp_path / "r.xlsx", [HEADER, row])
    )


def archive(path: Path, *names: str) -> Path:
    with ZipFile(path, "w") as made:
        for name in names:
            made.writestr(name, "")
    return path


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 5000, "an old Excel workbook (.xls, .et)"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
            + b"\0" * 5000
            + "EncryptedPackage".encode("utf-16le"),
            "a workbook under a password: save it as .xlsx without a password",
        ),
        (b"%PDF-1.7", "a PDF document"),
        (b"{\\rtf1", "a text document (RTF)"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"MIME-Version: 1.0", "a web archive (MHT)"),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(
    tmp_path: Path, start: bytes, kind: str
) -> None:
    path = tmp_path / "r.xlsx"
    path.write_bytes(start)
    assert f"is {kind}" in refusal(path)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("xl/workbook.bin", "a binary Excel workbook (.xlsb)"),
        ("content.xml", "an OpenDocument file (.ods)"),
        ("word/document.xml", "a Word document"),
        ("Index/Document.iwa", "an Apple Numbers file"),
        ("other/book.xlsx", "a ZIP archive without a workbook"),
    ],
)
def test_an_archive_of_another_kind_is_called_what_it_is(
    tmp_path: Path, part: str, kind: str
) -> None:
    assert f"is {kind}: save it as .xlsx" in refusal(archive(tmp_path / "r.xlsx", part))


def test_what_openpyxl_writes_is_read(tmp_path: Path) -> None:
    book = Workbook()
    sheet: Any = book.active
    sheet.append([*HEADER, "是否公开"])
    sheet.append([123, "来信", 45418, "虚构", None, "000", "多行\n文字", 5, True])
    sheet["A2"].number_format = "000000"
    sheet["C2"].number_format = "yyyy-mm-dd"
    sheet["D2"].hyperlink = "https://example.invalid/"
    book.save(tmp_path / "r.xlsx")
    found = registered(tmp_path / "r.xlsx").registered
    assert (found["origin_number"], found["title"], found["public"]) == ("000123", "虚构", True)
