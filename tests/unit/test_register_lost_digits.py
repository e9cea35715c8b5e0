"""Numbers and codes: what programs put around them comes off, what lost its digits is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies
from support.workbooks import Cell, save_workbook

from producers.register import Registration, Rejected, load_mapping, read_register
from producers.register.cell_values import BOUNDLESS, converter
from producers.register.code_cells import clean_code, number_or_none
from producers.register.errors import CellError
from producers.register.targets import FieldKind, targets

MAPPING = load_mapping("register")
GOOD = {"登记编号": "虚构-1", "信访形式": "来信", "信访日期": "2024-05-06", "标题": "虚构标题"}
NUMBER = "110101199003075678"  # invented
LOST = (
    *("1.1010119900307122e+17", "1.1010119900307122E+17", "1.10101E+17", "1E+17", "1e+17"),
    *("1.1E17", "１.1E+17", "１．１Ｅ＋１７", "1,10101E+17", "110.1E+15", "1.1 E+17", "1.1×10^17"),
    *("110101199003071226.0", "110,101,199,003,071,226", "1101011990030712.00", "########"),
    *("'1.1E+17", '="1.1E+17"', "\t1.1E+17\u200b", "-1.1E+17"),
)
NO_VALUE = (
    "nan",
    "NaN",
    "None",
    "null",
    "NULL",
    "NaT",
    "<NA>",
    "undefined",
    "#N/A",
    "#REF!",
    "\\N",
    "(null)",
)
ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#SPILL!")
CODES = [name for name, target in targets().items() if target.holds_code]
PLACED = (
    *(
        NUMBER,
        f'="{NUMBER}"',
        f"'{NUMBER}",
        f"＇{NUMBER}",
        f"\t{NUMBER}",
        f"{NUMBER}\t",
        f'"{NUMBER}"',
    ),
    *(
        f"“{NUMBER}”",
        f'=T("{NUMBER}")',
        f"\u200b{NUMBER}\u200e",
        f"\ufeff{NUMBER}",
        f"\xa0{NUMBER}\xa0",
    ),
    *(
        f"{NUMBER[:6]}\u200b{NUMBER[6:]}",
        f"\u202d{NUMBER}\u202c",
        f"'\u3000{NUMBER}",
        f"=“{NUMBER}”",
    ),
    *(
        "１１０１０１１９９００３０７５６７８",
        "110101 19900307 5678",
        f"''{NUMBER}",
        f"\u2060{NUMBER}",
    ),
    f'="{NUMBER}"\n',
)


def read_csv(folder: Path, *rows: dict[str, str]) -> list[Registration | Rejected]:
    path = folder / "r.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([rows[0].keys(), *(row.values() for row in rows)])
    return list(read_register(path, MAPPING))


def read_json(folder: Path, line: str) -> Registration | Rejected:
    path = folder / "r.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    (row,) = read_register(path, MAPPING)
    return row


def convert(target: str, cell: str) -> Any:
    return converter((targets()[target],), {}, BOUNDLESS)(cell)


@pytest.mark.parametrize("cell", LOST)
@pytest.mark.parametrize("target", [*CODES, "persons", "extend.days", "received_at"])
def test_a_number_that_lost_its_digits_is_refused_in_every_column_of_numbers_and_codes(
    target: str, cell: str
) -> None:
    with pytest.raises(CellError):
        convert(target, cell)


@pytest.mark.parametrize("cell", NO_VALUE)
@pytest.mark.parametrize("target", [*CODES, "persons", "received_at", "title", "text", "unit"])
def test_how_a_program_writes_nothing_is_no_value(target: str, cell: str) -> None:
    with pytest.raises(CellError, match=r"(clear|correct) the cell"):
        convert("accept.unit" if target == "unit" else target, cell)


def test_two_people_whose_numbers_pandas_shortened_do_not_become_one(tmp_path: Path) -> None:
    first, second = (
        {**GOOD, "登记编号": number, "姓名": name, "证件号码": "1.1010119900307122e+17"}
        for number, name in (("PE-1", "王甲"), ("PE-2", "李乙"))
    )
    found = read_csv(tmp_path, first, second)
    assert [type(row) for row in found] == [Rejected, Rejected]
    for place, row in enumerate(found, 1):
        assert isinstance(row, Rejected)
        assert (row.row, row.line) == (place, place + 1)
        assert row.reason.startswith("column 证件号码: the value was shortened by a spreadsheet: ")
        assert "1.101" not in row.reason


def test_an_identity_number_that_excel_ended_in_zeros_is_refused() -> None:
    with pytest.raises(CellError, match="ends in 000"):
        convert("petitioner.id_number", "110101199003071000")
    # Numbers whose last digit is right end so too: 1 of 1,100.
    assert convert("petitioner.id_number", "110101199003109000") == "110101199003109000"


@pytest.mark.parametrize("cell", PLACED)
def test_what_was_put_around_an_identity_number_comes_off(tmp_path: Path, cell: str) -> None:
    assert convert("petitioner.id_number", cell) == NUMBER
    (row,) = read_csv(tmp_path, {**GOOD, "姓名": "赵丙", "证件号码": cell})
    assert isinstance(row, Registration)
    assert row.petitioner == {"name": "赵丙", "id_number": NUMBER, "id_type": "resident_id"}


@pytest.mark.parametrize("target", CODES)
def test_marks_come_off_in_every_column_of_codes(target: str) -> None:
    for cell in ('="370102"', "'370102", "370102.0", "３７０１０２", "370102\u200b", "370,102"):
        assert convert(target, cell) == "370102"
    if target != "area":
        assert convert(target, "'000123") == convert(target, '="000123"') == "000123"


@pytest.mark.parametrize(
    ("target", "cell", "value"),
    [
        ("persons", "3.0", 3),
        ("persons", '="12"', 12),
        ("persons", "1,234", 1234),
        ("persons", "１２", 12),
        ("urgent", "1.0", True),
        ("urgent", "'是", True),
        ("channel", "'letter", "letter"),
        ("claim_path", "1.0", "1"),
        ("title", '="拖欠工资"', "拖欠工资"),
        ("title", "'七一'活动", "'七一'活动"),
        ("text", "'2024", "2024"),
        ("text", '="第一行""引""。"', '第一行"引"。'),
        ("petitioner.name", "Null", "Null"),
        ("petitioner.id_number", "无", None),
        ("petitioner.phone", "不详", None),
        ("repeat_of", "无", None),
        ("origin_number", "MAR-01", "MAR-01"),
        ("decide.opinion_number", "信访〔2024〕1号", "信访〔2024〕1号"),
        ("decide.opinion_number", "（2024）第1号", "（2024）第1号"),
        ("origin_number", "2024E-001", "2024E-001"),
        ("origin_number", "24E0001", "24E0001"),
        ("origin_number", "2024-1.10", "2024-1.10"),
        ("petitioner.phone", "+86 138 0000 0000", "+86 138 0000 0000"),
        ("petitioner.id_number", "E12345678", "E12345678"),
    ],
)
def test_a_cell_keeps_what_a_person_wrote(target: str, cell: str, value: object) -> None:
    assert convert(target, cell) == value


@pytest.mark.parametrize("cell", ["1月2日", "Jan-24", "2-Jan", "02-Jan-24", "'1月2日"])
def test_a_date_that_excel_made_of_a_number_is_no_code(cell: str) -> None:
    for target in CODES:
        with pytest.raises(CellError):
            convert(target, cell)


def test_dates_have_marks_and_fractions_too() -> None:
    expected = convert("received_at", "2024-05-06")
    for cell in ('="2024-05-06"', "'2024-05-06", "20240506.0", "45418.0", "\u200e2024-05-06"):
        assert convert("received_at", cell) == expected


@given(strategies.text())
def test_cleaning_a_code_twice_changes_nothing(text: str) -> None:
    for clean in (clean_code, number_or_none):
        try:
            once = clean(text)
        except CellError:
            continue
        assert clean(once) == once


@given(strategies.text(strategies.characters(categories=("Nd", "Lo")), min_size=1, max_size=30))
def test_a_code_of_figures_and_chinese_keeps_every_character_but_its_width(text: str) -> None:
    assert len(clean_code(text)) == len(text)


@pytest.mark.parametrize(
    "value", ["1.1010119900307122e+17", "110101199003071226.0", "110101199003071226", "1E400"]
)
def test_json_numbers_are_never_rounded(tmp_path: Path, value: str) -> None:
    start = json.dumps({**GOOD, "姓名": "王甲"}, ensure_ascii=False)[:-1]
    row = read_json(tmp_path, f'{start}, "证件号码": {value}}}')
    assert isinstance(row, Rejected)
    assert "证件号码" in row.reason
    assert row.cells["证件号码"] == value


def test_json_numbers_of_pandas_are_the_numbers_they_were(tmp_path: Path) -> None:
    start = json.dumps({**GOOD, "姓名": "王甲"}, ensure_ascii=False)[:-1]
    more = '"问题属地": 370102.0, "涉及人数": 3.0, "电话": NaN, "证件号码": "000123"'
    row = read_json(tmp_path, f"{start}, {more}}}".replace('"虚构-1"', "123.0"))
    assert isinstance(row, Registration), row
    assert row.origin_number == "123"
    assert (row.registered["area"], row.registered["persons"]) == ("370102", 3)
    assert row.petitioner == {"name": "王甲", "id_type": "resident_id", "id_number": "000123"}
    infinite = read_json(tmp_path, f'{start}, "涉及人数": -Infinity}}')
    assert isinstance(infinite, Rejected)


def test_the_number_as_the_person_sees_it_is_the_same_in_every_format(tmp_path: Path) -> None:
    row = {**GOOD, "登记编号": "000123", "问题属地": "370102", "涉及人数": "1"}
    (in_csv,) = read_csv(tmp_path, row)
    in_json = read_json(tmp_path, json.dumps(row))
    shown = {
        "登记编号": Cell("123", format="000000"),
        "问题属地": Cell("370102", format="0"),
        "涉及人数": Cell("1", format="0人"),
    }
    path = save_workbook(tmp_path / "r.xlsx", [[*row], [shown.get(k, v) for k, v in row.items()]])
    (in_xlsx,) = read_register(path, MAPPING)
    found = [one for one in (in_csv, in_json, in_xlsx) if isinstance(one, Registration)]
    assert [one.origin_number for one in found] == ["000123"] * 3
    assert len({one.content_digest for one in found}) == 1


@pytest.mark.parametrize(
    "name", [n for n, t in targets().items() if t.kind is not FieldKind.INSTANT]
)
def test_an_error_of_a_spreadsheet_is_no_value_of_any_field(name: str) -> None:
    for cell in ERRORS:
        with pytest.raises(CellError):
            convert(name, cell)
