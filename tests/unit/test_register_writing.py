"""Writing registers: cells that read back as they were, templates, files put in place whole."""

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies
from openpyxl import load_workbook

from producers.register import RegisterError, load_mapping, read_register
from producers.register.cell_format import cell_maker, instant_cell
from producers.register.cell_values import BOUNDLESS, converter
from producers.register.dates import parse_instant
from producers.register.file_writers import XlsxSink, new_register
from producers.register.formula_guard import guarded, unguarded
from producers.register.row_writer import RowWriter, Told
from producers.register.targets import FieldKind, targets
from producers.register.template import write_template

REGISTER = load_mapping("register")
MORNING = 1_704_676_350_000_000  # 2024-01-08 09:12:30 in China
CASE: dict[str, Any] = {
    "origin_number": "虚构-1",
    "channel": "letter",
    "title": "虚构",
    "received_at": MORNING,
}
DECIDED = {"outcome": "supported", "opinion": "虚构答复"}


def told(*handling: tuple[str, int, dict[str, Any]], **more: Any) -> Told:
    given = {"registered": CASE, "registered_at": MORNING, **more}
    return Told("110000-20240108-AAAA", "已登记", "北京市", handling=[*handling], **given)


def is_whole(case: Told, mapping: str = "register") -> bool:
    writer = RowWriter(load_mapping(mapping), MORNING + 10**12)
    return writer.tells_all(case, writer.row(case))


@given(strategies.text() | strategies.from_regex("'{0,3}[-=+@＝].*"))
def test_the_mark_before_a_formula_comes_off_again(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell
    assert guarded(cell)[:1] not in tuple("=+-@\t\r\n＝＋－＠")


@given(strategies.integers(-662_716_800, 4_102_444_800), strategies.integers(0, 999_999))
def test_an_instant_reads_back_to_the_microsecond(second: int, micro: int) -> None:
    instant = second * 1_000_000 + micro
    assert parse_instant(instant_cell(instant), BOUNDLESS).at == instant


@pytest.mark.parametrize("name", [name for name, one in targets().items() if one.codes])
def test_every_code_is_written_as_a_word_that_reads_back(name: str) -> None:
    target, words = targets()[name], REGISTER.values.get(name, {})
    make, read = cell_maker(target, words), converter((target,), {**target.words, **words}, 0)
    for code in filter(None, target.codes):
        assert read(str(make(code))) == code
        assert name == "serve.document" or not str(make(code)).isascii()


def test_a_row_tells_a_case_and_says_so() -> None:
    life = [("accept", MORNING, {"unit": "虚构单位"}), ("decide", MORNING + 1, DECIDED)]
    same_unit = [("accept", MORNING, {}), ("decide", MORNING + 1, DECIDED)]
    assert is_whole(told())
    assert is_whole(told(*same_unit))
    assert not is_whole(told(*life))  # one column for two units
    assert not is_whole(told(more=True))
    assert not is_whole(told(life[1]))  # a decision that nobody accepted
    assert not is_whole(told(("accept", MORNING - 1, {})))
    assert not is_whole(told(registered={**CASE, "text": " a"}))
    assert not is_whole(told(registered={**CASE, "accused": ["甲、乙"]}))
    assert not is_whole(told(registered={**CASE, "attachments": [{"reference": "x"}]}))


def test_a_petitioner_without_a_type_of_number_is_not_made_one_of_an_identity_card() -> None:
    assert is_whole(told(petitioner={"name": "张示例"}))
    assert not is_whole(told(petitioner={"name": "张示例", "id_number": "1"}))


def test_another_mapping_tells_what_it_has_columns_for() -> None:
    web = {**CASE, "channel": "web", "text": "虚构内容"}
    life = [
        ("accept", MORNING, {}),
        ("decide", MORNING + 10**9, {**DECIDED, "outcome": "explained"}),
        ("serve", MORNING + 10**9, {"method": "online"}),
    ]
    account = {"name": "U1", "id_type": "account", "id_number": "U1"}
    case = told(*life, registered=web, petitioner=account)
    assert is_whole(case, "messages")
    assert not is_whole(told(*life[:1], registered=web, petitioner=account), "messages")
    assert not is_whole(told(*life, registered=CASE, petitioner=account), "messages")


def test_a_workbook_cannot_hold_control_characters() -> None:
    assert XlsxSink(Path("r.xlsx")).clean("a\x01b\nc") == "a\ufffdb\nc"


def test_a_workbook_ends_at_its_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.register.file_writers._SHEET_ROWS", 2)
    sink = XlsxSink(Path("r.xlsx"))
    sink.write(["登记编号"])
    sink.write(["1"])
    with pytest.raises(RegisterError, match=r"r\.xlsx: a sheet holds 2 rows: write a CSV file"):
        sink.write(["2"])
    sink.discard()


def test_nothing_is_left_of_a_workbook_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests = tmp_path / "rests"
    rests.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(rests))
    path = tmp_path / "r.xlsx"

    def fail(when_written: bool) -> None:
        with new_register(path, force=False, formula_guard=True) as sink:
            if when_written:
                sink.write(["登记编号"])
            raise ZeroDivisionError

    for when_written in (True, False):
        with pytest.raises(ZeroDivisionError):
            fail(when_written)
    assert [*tmp_path.iterdir()] == [rests]
    assert [*rests.iterdir()] == []


@pytest.mark.parametrize("mapping", ["register", "messages"])
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_template_is_an_empty_register(tmp_path: Path, mapping: str, suffix: str) -> None:
    path = tmp_path / f"template{suffix}"
    columns = load_mapping(mapping)
    assert write_template(path, columns) == len(columns.columns)
    assert [*read_register(path, columns)] == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(RegisterError, match="--force"):
        write_template(path, columns)


def test_a_template_explains_marks_and_offers(tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    write_template(path, REGISTER)
    sheet, guide = load_workbook(path).worksheets
    assert (sheet.title, guide.title, sheet.freeze_panes) == ("登记簿", "填表说明", "A2")
    bold = [cell.value for cell in sheet[1] if cell.font.bold]
    assert bold == REGISTER.required_columns
    told_of = [row[:6] for row in guide.iter_rows(min_row=2, values_only=True)]
    assert [row[0] for row in told_of] == [*REGISTER.columns]
    assert all(row[4] and row[5] for row in told_of)
    channel = dict(zip(guide_header(guide), told_of[1], strict=True))
    assert channel["可选值"] == "来信、来访、网上、来电、手机客户端、微信、其他"
    lists = {str(one.sqref): one.formula1 for one in sheet.data_validations.dataValidation}
    coded = [
        column
        for column, (first, *_) in REGISTER.columns.items()
        if first.codes or first.kind is FieldKind.FLAG or first.name in REGISTER.values
    ]
    assert len(lists) == len(coded)
    place = lists["B2:B10001"].replace("$", "").partition("!")[2].split(":")
    offered = [cell.value for (cell,) in guide[place[0] : place[1]]]
    assert "、".join(map(str, offered)) == channel["可选值"]


def guide_header(guide: Any) -> list[Any]:
    return [cell.value for cell in guide[1][:6]]


def test_a_filled_template_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "template.xlsx"
    write_template(path, REGISTER)
    book = load_workbook(path)
    sheet = book["登记簿"]
    given = {"登记编号": "虚构-1", "信访形式": "来信", "信访日期": "2024-05-06", "标题": "虚构"}
    for place, column in enumerate(REGISTER.columns, 1):
        sheet.cell(2, place, given.get(column))
    book.save(path)
    (row,) = read_register(path, REGISTER)
    assert row.cells["标题"] == "虚构"
    assert getattr(row, "origin_number", row) == "虚构-1"
