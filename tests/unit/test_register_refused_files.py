"""A file that is no register, or a damaged one, is refused with one line."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from support.register_files import (
    HEADER,
    ROWS,
    as_csv,
    content,
    read,
    refusal,
    save_xlsx,
)

from producers.register import (
    RegisterError,
)


def test_a_workbook_that_says_it_has_one_cell_is_read_whole(tmp_path: Path) -> None:
    path = save_xlsx(tmp_path / "r.xlsx", [HEADER, *ROWS])
    rewritten = rewrite_member(path, "xl/worksheets/sheet1.xml", b'ref="A1:G3"', b'ref="A1"')
    assert len(content(read(rewritten))) == 2


def rewrite_member(path: Path, member: str, old: bytes, new: bytes) -> Path:
    with ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts[member]
    parts[member] = parts[member].replace(old, new)
    with ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return path


def test_half_a_workbook_is_refused_or_breaks_off_with_one_line(tmp_path: Path) -> None:
    path = save_xlsx(tmp_path / "r.xlsx", [HEADER, *ROWS])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "not a readable XLSX workbook" in refusal(path)
    save_xlsx(path, [HEADER, *ROWS])
    rewrite_member(path, "xl/worksheets/sheet1.xml", b"</sheetData>", b"</oops>")
    with pytest.raises(RegisterError, match="not a readable XLSX workbook"):
        read(path)


def test_what_is_no_register_at_all_is_refused_with_one_line(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nowhere.csv")
    assert "is a folder" in refusal(tmp_path)
    path = tmp_path / "r.csv"
    for text, problem in (
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\n \n,,\n", "the file is empty"),
        (b"<html><table></table>", "is HTML or XML"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        ("登\0记".encode(), "line 1 has NULs"),
        (b"{broken", "line 1 is not JSON"),
        ('"登记编号\n'.encode(), "header on line 1 opens a quotation mark"),
        (b"PK\x03\x04junk", "not a readable XLSX workbook"),
    ):
        path.write_bytes(text)
        assert problem in refusal(path)
    array = tmp_path / "r.json"
    array.write_text("[{}]")
    assert "one JSON array" in refusal(array)
    lines = tmp_path / "r.jsonl"
    lines.write_text("\n")
    assert "the file is empty" in refusal(lines)


def test_bytes_of_no_known_encoding_are_named_by_their_offset(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    start = as_csv().encode("gb18030")
    path.write_bytes(start + b"ok\xff\xff")
    offset = len(start) + 2
    first_not_utf8 = len(b'"')
    told = refusal(path)
    assert (
        f"neither UTF-8 (byte {first_not_utf8} is not) nor GB18030 (byte {offset} is not)" in told
    )
    assert told.endswith("save it as UTF-8")


def test_the_offset_is_right_across_the_chunks_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    # 3 bytes each, so that a character straddles the border of the first chunk.
    start = ("a" + "虚" * 400_000).encode()
    path.write_bytes(b"\xef\xbb\xbf" + start + b"\xff")
    assert f"byte {len(start) + 3} is not UTF-8" in refusal(path)
    path.write_bytes(start + b"\xff")
    assert f"neither UTF-8 (byte {len(start)} is not)" in refusal(path)


def test_a_damaged_utf8_file_is_not_silently_taken_for_gb18030(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    header = "登记编号,信访形式,信访日期,标题\n".encode()
    path.write_bytes(header + b"\xd2\xd2")  # a valid pair of GB18030, as all pairs of the header
    assert f"read as GB18030, because byte {len(header)} is not UTF-8" in refusal(path)


def test_missing_columns_name_what_is_there_and_the_mapping_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("留言编号,留言用户,留言主题,留言时间,留言详情\n", encoding="utf-8")
    told = refusal(path)
    assert "columns 登记编号, 信访形式, 信访日期, 标题 of mapping 'register' not found" in told
    assert "the file has 留言编号, 留言用户" in told
    assert told.endswith("mapping 'messages' fits")


def test_columns_that_are_double_or_unknown_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(",".join([*HEADER, "标题"]), encoding="utf-8")
    assert "column 标题 there twice" in refusal(path)
    path.write_text(",".join([*HEADER, "受里时间"]), encoding="utf-8")
    assert "column 受里时间 not in mapping 'register'" in refusal(path)
