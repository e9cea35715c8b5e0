"""Headers, merged cells and escapes are read as Excel shows them; other files are refused."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from openpyxl import Workbook
from support.workbook_rows import ROW, read, refusal, registered, rejected, with_cell
from support.workbooks import HEADER, STRICT, Cell, save_workbook

from producers.register import (
    Registration,
    Rejected,
)
from producers.register.workbook.strings import escaped, unescaped


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
