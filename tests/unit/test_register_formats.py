"""Formats, encodings and dialects: the same register comes out the same, the wrong file not."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from support.register_files import (
    HEADER,
    MAPPING,
    PROJECT,
    ROWS,
    as_csv,
    as_jsonl,
    content,
    read,
    read_bytes,
    refusal,
    save_xlsx,
)

from producers.register import (
    Registration,
    Rejected,
    load_mapping,
    read_register,
)
from producers.register.csv_source import FIELD_CHARACTERS_LIMIT

FIXTURES = PROJECT / "tests" / "fixtures"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encoding_separator_and_line_ends_make_no_difference(
    tmp_path: Path, encoding: str, delimiter: str, line_end: str
) -> None:
    expected = content(read_bytes(tmp_path, as_csv().encode()))
    text = as_csv(delimiter, line_end)
    assert content(read_bytes(tmp_path, text.encode(encoding))) == expected


def test_json_lines_give_the_same(tmp_path: Path) -> None:
    expected = content(read_bytes(tmp_path, as_csv().encode()))
    assert content(read_bytes(tmp_path, as_jsonl().encode(), "r.txt")) == expected
    assert content(read_bytes(tmp_path, as_jsonl().encode("gb18030"), "r.jsonl")) == expected


def test_a_workbook_gives_the_same_from_its_own_dates_and_numbers(tmp_path: Path) -> None:
    expected = content(read_bytes(tmp_path, as_csv().encode()))
    # What Excel has for 9:32:09, a fraction of a day, is a little less.
    first = [1, "来信", datetime(2024, 5, 6, 9, 32, 8, 999_000), *ROWS[0][3:5], 3.0, ROWS[0][6]]
    second = ["2", "网上", 45419, *ROWS[1][3:5], None, None]
    path = save_xlsx(tmp_path / "r.xlsx", [HEADER, first, [None] * 7, second])
    rows = read(path)
    assert content(rows) == expected
    assert [row.line for row in rows] == [2, 4]


def test_the_gb18030_fixture_reads_with_its_rare_characters() -> None:
    path = FIXTURES / "register_gb18030.csv"
    with pytest.raises(UnicodeDecodeError):
        path.read_text(encoding="utf-8")
    rows = read(path)
    assert [row.origin_number for row in rows if isinstance(row, Registration)] == [
        "虚构-1",
        "虚构-2",
    ]
    assert isinstance(rows[1], Registration)
    assert rows[1].registered["title"] == "虚构：𠀀与\u3400字"


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    text = as_csv(line_end="\n") + "\n,,,,,,\n" + "3,来信,2024-05-08,虚构三,,,\n"
    rows = read_bytes(tmp_path, text.encode())
    assert [(row.row, row.line) for row in rows] == [(1, 2), (2, 4), (3, 7)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("9,来信,2024-05-08", "3 cells for 7 columns"),
        ("9,来信,2024-05-08,虚,构,1,0,八,九", "9 cells for 7 columns"),
        ('9,来信,2024-05-08,"虚"构,,,', "text after a closing quotation mark"),
        ('9,来信,2024-05-08,"虚构,,,', "opens a quotation mark that is never closed"),
    ],
)
@pytest.mark.parametrize("after", [0, 5])
def test_a_bad_row_is_rejected_alone(tmp_path: Path, line: str, problem: str, after: int) -> None:
    good = [f"{n},来信,2024-05-06,虚构{n},,," for n in range(6)]
    lines = [",".join(HEADER), *good[:1], line, *good[1 : after + 1]]
    rows = read_bytes(tmp_path, ("\n".join(lines) + "\n").encode())
    assert [(row.row, row.line) for row in rows] == [(n, n + 1) for n in range(1, after + 3)]
    (bad,) = [row for row in rows if isinstance(row, Rejected)]
    assert bad.row == 2
    assert problem in bad.reason
    kept = "".join(bad.cells.values())
    assert all(cell in kept for cell in ("9", "来信", "2024-05-08"))


def test_a_cell_over_the_bound_is_rejected_with_its_row(tmp_path: Path) -> None:
    lines = [",".join(HEADER), "1,来信,2024-05-06,虚构,", "2,来信,2024-05-06,虚构,,,"]
    lines[1] += "长" * (FIELD_CHARACTERS_LIMIT + 1) + ",,"
    rows = read_bytes(tmp_path, "\n".join(lines).encode())
    assert [type(row) for row in rows] == [Rejected, Registration]
    assert isinstance(rows[0], Rejected)
    assert "more than 1,048,576 characters" in rows[0].reason


def test_a_cell_longer_than_python_allows_is_rejected_for_the_field_it_does_not_fit(
    tmp_path: Path,
) -> None:
    line = "1,来信,2024-05-06,虚构," + "长" * 200_000 + ",,"
    (row,) = read_bytes(tmp_path, f"{','.join(HEADER)}\n{line}".encode())
    assert isinstance(row, Rejected)
    assert "has 200000 characters, at most 4000 fit" in row.reason


def test_a_cell_under_no_header_is_not_lost(tmp_path: Path) -> None:
    text = "登记编号,信访形式,信访日期,标题,\n1,来信,2024-05-06,虚,\n2,来信,2024-05-06,虚,多\n"
    good, bad = read_bytes(tmp_path, text.encode())
    assert isinstance(good, Registration)
    assert isinstance(bad, Rejected)
    assert "cell 5 stands under no header" in bad.reason


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"登记编号": "1", "登记编号": "2"}', "names a column twice"),
        ('{"登记编号": ["1"]}', 'list or an object in column "登记编号"'),
        ('{"登记编号": "1", "备注": "虚构"}', 'column "备注" is not in the mapping'),
        (
            '{"登记编号": "9", "信访形式": "来信", "信访日期": "2024-05-06", "标题": "\\ud800"}',
            "NUL",
        ),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_json_line_is_rejected_alone(tmp_path: Path, line: str, problem: str) -> None:
    rows = read_bytes(tmp_path, (as_jsonl() + line + "\n\n" + as_jsonl()).encode())
    assert [type(row) for row in rows] == [Registration] * 2 + [Rejected] + [Registration] * 2
    assert isinstance(rows[2], Rejected)
    assert (rows[2].row, rows[2].line) == (3, 3)
    assert problem in rows[2].reason


def test_a_later_json_line_may_have_columns_that_the_first_left_out(tmp_path: Path) -> None:
    first = {"登记编号": 1, "信访形式": "来信", "信访日期": "2024-05-06", "标题": "虚构"}
    second = first | {"登记编号": 2.0, "是否公开": True, "涉及人数": None}
    text = json.dumps(first) + "\n" + json.dumps(second)
    rows = read_bytes(tmp_path, text.encode(), "r.jsonl")
    assert isinstance(rows[1], Registration)
    assert rows[1].origin_number == "2"
    assert rows[1].registered["public"] is True


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("#N/A", "cell 7 of the row holds the error #N/A"),
        (110101199001010011, "number of more than 15 digits"),
    ],
)
def test_a_workbook_cell_that_excel_has_spoilt_is_rejected(
    tmp_path: Path, cell: object, problem: str
) -> None:
    path = save_xlsx(tmp_path / "r.xlsx", [HEADER, [*ROWS[0][:6], cell], ROWS[1]])
    bad, good = read(path)
    assert isinstance(bad, Rejected)
    assert isinstance(good, Registration)
    assert problem in bad.reason


def test_the_sheet_with_the_columns_is_read_and_two_of_them_are_refused(tmp_path: Path) -> None:
    notes = [["说明"], ["虚构"]]
    path = save_xlsx(tmp_path / "r.xlsx", notes, [HEADER, *ROWS], [])
    assert len(content(read(path))) == 2
    twice = save_xlsx(tmp_path / "s.xlsx", [HEADER, *ROWS], [HEADER])
    assert "sheets Sheet, Sheet1 all have the columns" in refusal(twice)


@pytest.mark.parametrize("ignored", ["备注", "*"])
def test_an_ignored_column_is_passed_over_and_changes_no_digest(
    tmp_path: Path, ignored: str
) -> None:
    toml = (PROJECT / "producers" / "mappings" / "register.toml").read_text(encoding="utf-8")
    own = toml.replace("ignored = [", f'ignored = ["{ignored}", ')
    (tmp_path / "own.toml").write_text(own, encoding="utf-8")
    mapping = load_mapping(tmp_path / "own.toml")
    found = []
    for name, text in (
        ("a.csv", "登记编号,信访形式,信访日期,标题,备注\n1,来信,2024-05-06,虚构,甲\n"),
        ("b.csv", "登记编号,信访形式,信访日期,标题\n1,来信,2024-05-06,虚构\n"),
        (
            "c.jsonl",
            '{"登记编号": 0, "信访形式": "来信", "信访日期": "2024-05-06", "标题": "虚构"}\n'
            '{"登记编号": 1, "信访形式": "来信", "信访日期": "2024-05-06", "标题": "虚构",'
            ' "备注": "乙"}\n',
        ),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        *_, row = read_register(tmp_path / name, mapping)
        assert isinstance(row, Registration), row
        found.append((row.registered, row.content_digest))
    assert found[0] == found[1] == found[2]


def test_the_mark_before_a_formula_is_taken_off_once_and_in_csv_only(tmp_path: Path) -> None:
    texts = ["'=1+1", "''-", "'abc", "=1"]
    rows = [["1", "来信", "2024-05-06", "虚构", text, "", ""] for text in texts]

    def found(path: Path) -> list[str]:
        read = [row for row in read_register(path, MAPPING) if isinstance(row, Registration)]
        return [row.registered["text"] for row in read]

    lines = [",".join(row) for row in [HEADER, *rows]]
    (tmp_path / "r.csv").write_text("\n".join(lines), encoding="utf-8")
    assert found(tmp_path / "r.csv") == ["=1+1", "'-", "'abc", "=1"]
    workbook = save_xlsx(tmp_path / "r.xlsx", [HEADER, *rows[:3]])
    assert found(workbook) == texts[:3]


def test_a_header_without_rows_is_an_empty_register(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, ",".join(HEADER).encode()) == []


def test_an_abandoned_register_can_be_closed(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(as_csv().encode())
    with read_register(path, MAPPING) as rows:
        next(rows)
        assert rows.progress is not None
        assert 0 < rows.progress <= 1
    with pytest.raises(ValueError, match="closed file"):
        list(rows)
