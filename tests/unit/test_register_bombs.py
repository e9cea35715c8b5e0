"""Registers made to be big: refused early, or read within bounds of memory and work."""

import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZipFile

import pytest
from support.workbooks import header_row, save_package

from producers.register import RegisterError, Rejected, load_mapping, read_register
from producers.register.source import MAX_COLUMNS
from producers.register.workbook.package import CHUNK_BYTES, HARMLESS_BYTES, Package
from producers.register.workbook.sheet import MAX_ROWS

MAPPING = load_mapping("register")
BEGIN = b"<worksheet><sheetData>" + header_row()
END = b"</sheetData></worksheet>"
GOOD = (
    '<row><c t="inlineStr"><is><t>{}</t></is></c><c t="inlineStr"><is><t>来信</t></is></c>'
    '<c t="inlineStr"><is><t>2024-05-06</t></is></c><c t="inlineStr"><is><t>虚构</t></is></c></row>'
)
MB = 1 << 20
# Of Python's own memory: a few pieces of a part, one row, tables of the mapping.
ALLOWED_MEMORY = 24 * MB


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < ALLOWED_MEMORY
    finally:
        tracemalloc.stop()


def refusal(path: Path) -> str:
    with little_memory(), pytest.raises(RegisterError) as caught:
        list(read_register(path, MAPPING))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def repeated(piece: bytes, times: int) -> Iterator[bytes]:
    yield BEGIN
    for _ in range(times // 1000):
        yield piece * 1000
    yield END


def test_a_small_workbook_that_unpacks_to_gigabytes_is_refused_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = repeated(b"<row><c><v>1</v></c></row>", 12_000_000)
    path = save_package(tmp_path / "r.xlsx", rows)
    assert path.stat().st_size < MB
    monkeypatch.setattr(Package, "chunks", None)
    assert "unpack to 297 MiB, which no register does: copy the rows" in refusal(path)


def test_so_is_one_whose_texts_do(tmp_path: Path) -> None:
    path = save_package(tmp_path / "r.xlsx", [BEGIN, END], strings="<si><t>a</t></si>" * 2_000_000)
    assert "which no register does" in refusal(path)


@pytest.mark.parametrize(
    ("sheet", "problem"),
    [
        ([BEGIN, b'<row x="', b"a" * 8 * MB, b'"/>', END], "a tag has no end"),
        ([BEGIN, b"<a>" * MB], "nested too deep"),
        ([b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'>]>", BEGIN, b"&a;", END], "a document type"),
        ([BEGIN, b'<row r="1048577"><c><v>1</v></c></row>', END], "row 1048577 is none"),
        ([BEGIN, b'<row r="0"><c><v>1</v></c></row>', END], "row 0 is none"),
        ([BEGIN, b'<row><c r="XFE2"><v>1</v></c></row>', END], "cell XFE2"),
        ([BEGIN, b'<row><c r="B2"><v>1</v></c><c r="B2"><v>2</v></c></row>', END], "there twice"),
        ([BEGIN, b'<row><c r="$$"><v>1</v></c></row>', END], "is no cell"),
        ([BEGIN, b"<row><c><v>" + b"1" * 17 * MB + b"</v></c></row>", END], "more than"),
        ([BEGIN, f'<row r="{MAX_ROWS}"/><row/>'.encode(), END], "row 1048577 is none"),
        ([BEGIN, b'<row><c t="s"><v>7</v></c></row>', END], "IndexError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_sheet_that_is_made_to_be_expensive_is_refused(
    tmp_path: Path, sheet: list[bytes], problem: str
) -> None:
    path = save_package(tmp_path / "r.xlsx", sheet)
    made_large(path)
    assert problem in refusal(path)


def made_large(path: Path) -> None:
    """Make the file so large, by a part that nobody opens, that its ratio alone tells nothing."""
    with ZipFile(path, "a") as archive:
        archive.writestr("custom/none.xml", os.urandom(200_000))


def test_a_text_longer_than_any_cell_is_refused(tmp_path: Path) -> None:
    path = save_package(
        tmp_path / "r.xlsx", [BEGIN, END], strings=f"<si><t>{'a' * 2 * MB}</t></si>"
    )
    assert "a text has more than 1,048,576 characters" in refusal(path)


def test_a_directory_that_lies_gains_nothing(tmp_path: Path) -> None:
    path = save_package(tmp_path / "r.xlsx", repeated(b"<row><c><v>1</v></c></row>", 900_000))
    whole = path.read_bytes()
    with ZipFile(path) as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    assert info.file_size > HARMLESS_BYTES
    real = info.file_size.to_bytes(4, "little")
    claimed = (1000).to_bytes(4, "little")
    assert real in whole
    path.write_bytes(whole.replace(real, claimed))
    assert "not a readable XLSX workbook" in refusal(path)


def test_many_sheets_over_one_part_are_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_package(tmp_path / "r.xlsx", [BEGIN, END], sheets=900)
    opened: list[str] = []
    chunks = Package.chunks

    def counted(package: Package, name: str) -> Iterator[bytes]:
        opened.append(name)
        return chunks(package, name)

    monkeypatch.setattr(Package, "chunks", counted)
    assert list(read_register(path, MAPPING)) == []
    assert opened.count("xl/worksheets/sheet1.xml") == 3


def test_a_directory_without_end_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.xlsx"
    with ZipFile(path, "w") as archive:
        for number in range(200):
            archive.writestr(f"{number:05}" + "n" * 200, "")
    monkeypatch.setattr("producers.register.workbook.package._MAX_DIRECTORY_BYTES", 10_000)
    assert "has a directory of" in refusal(path)


def test_a_nested_archive_is_never_opened(tmp_path: Path) -> None:
    path = save_package(tmp_path / "r.xlsx", [BEGIN, END])
    with ZipFile(path, "a", ZIP_DEFLATED) as archive:
        archive.writestr("xl/embeddings/inner.zip", b"\0" * 40 * MB)
    with little_memory():
        assert list(read_register(path, MAPPING)) == []


def test_a_long_register_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    rows = (GOOD.format(f"虚构-{n}").encode() for n in range(5_000))
    path = save_package(tmp_path / "r.xlsx", [BEGIN, *rows, END])
    with little_memory():
        assert sum(1 for _ in read_register(path, MAPPING)) == 5_000


def test_an_encrypted_part_is_named(tmp_path: Path) -> None:
    path = save_package(tmp_path / "r.xlsx", [BEGIN, END])
    content = bytearray(path.read_bytes())
    place = content.rfind(
        b"PK\x01\x02", 0, content.find(b"_rels/.rels", content.find(b"PK\x01\x02"))
    )
    content[place + 8] |= 1
    path.write_bytes(content)
    assert "save it without a password" in refusal(path)


@pytest.mark.parametrize("method", [ZIP_BZIP2, ZIP_LZMA])
def test_a_part_packed_in_a_way_that_open_xml_does_not_know_is_not_unpacked(
    tmp_path: Path, method: int
) -> None:
    save_package(tmp_path / "s.xlsx", [BEGIN, END])
    with ZipFile(tmp_path / "s.xlsx") as old, ZipFile(tmp_path / "r.xlsx", "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert "not a readable XLSX workbook" in refusal(tmp_path / "r.xlsx")


def test_a_header_of_thousands_of_columns_is_refused_in_every_format(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(MAX_COLUMNS + 1)]
    csv, jsonl, xlsx = (tmp_path / name for name in ("r.csv", "r.jsonl", "r.xlsx"))
    csv.write_text(",".join(names) + "\n" + "1\n" * 1000)
    jsonl.write_text("{" + ",".join(f'"{name}":1' for name in names) + "}\n")
    cells = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in names)
    save_package(xlsx, [b"<worksheet><sheetData><row>", cells.encode(), b"</row>", END])
    for path in (csv, jsonl, xlsx):
        assert f"the header has {MAX_COLUMNS + 1:,} columns" in refusal(path)


def test_a_quotation_mark_that_is_never_closed_does_not_swallow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    good = "{},来信,2024-05-06,虚构\n"
    with path.open("w", encoding="utf-8") as file:
        file.write(
            "登记编号,信访形式,信访日期,标题\n" + good.format(1) + '2,"来信,2024-05-06,虚构\n'
        )
        file.writelines(good.format(n) for n in range(3, 60_000))
    with read_register(path, MAPPING) as rows:
        found = [row.row for row in rows if isinstance(row, Rejected)]
    assert found == [2]


def test_nul_bytes_reject_their_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(
        "登记编号,信访形式,信访日期,标题\n1,来信,2024-05-06,虚\0构\n2,来信,2024-05-06,虚构\n",
        "utf-8",
    )
    bad, good = read_register(path, MAPPING)
    assert isinstance(bad, Rejected)
    assert "column 标题 has a NUL" in bad.reason
    assert good.row == 2


def test_a_file_of_one_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with path.open("wb") as file:
        file.write('登记编号,信访形式,信访日期,标题\n1,来信,2024-05-06,"'.encode())
        for _ in range(20 * MB // CHUNK_BYTES):
            file.write(b"a" * CHUNK_BYTES)
    with pytest.raises(RegisterError, match=r"line 2 is longer than 16,777,216 characters"):
        list(read_register(path, MAPPING))
