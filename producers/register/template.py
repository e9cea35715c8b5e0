"""Write an empty register 登记簿模板 with headers, and in XLSX with lists of choices and 填表说明.

All of it comes from the mapping and the schemas.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter, quote_sheetname
from openpyxl.worksheet.datavalidation import DataValidation

from producers.register.cell_format import words_by_code
from producers.register.file_writers import SHEET, new_file, new_register
from producers.register.mapping import Mapping
from producers.register.targets import FieldKind, Target

_GUIDE: Final = "填表说明"
_GUIDE_HEADER: Final = ("栏目", "是否必填", "填写方式", "可选值", "说明", "对应字段")
_GUIDE_WIDTHS: Final = (18, 10, 24, 40, 60, 28)
_KINDS: Final = {
    FieldKind.LINE: "单行文字",
    FieldKind.TEXT: "多行文字",
    FieldKind.INSTANT: "日期时间,如 2026-01-31 09:30(北京时间)",
    FieldKind.NUMBER: "整数",
    FieldKind.FLAG: "是或否",
    FieldKind.LIST: "多项,以顿号分隔",
}
_REQUIRED_FILL: Final = PatternFill("solid", fgColor="FFF2CC")
_WIDTH: Final = 18
# Lists and the text format cover this many rows; further rows can be filled in too.
_PREPARED_ROWS: Final = 10_000
_TEXT_FORMAT: Final = "@"  # so that long numbers keep their digits


def write_template(path: Path, mapping: Mapping, *, force: bool = False) -> int:
    """Write an empty register of `mapping`, CSV or XLSX by its name; return its columns' number."""
    if path.suffix.lower() == ".xlsx":
        with new_file(path, force=force) as new:
            _workbook(mapping).save(new)
    else:
        with new_register(path, force=force, formula_guard=mapping.formula_guard) as sink:
            sink.write([*mapping.columns])
    return len(mapping.columns)


def _workbook(mapping: Mapping) -> Workbook:
    book = Workbook()
    sheet: Any = book.active
    sheet.title = SHEET
    guide: Any = book.create_sheet(_GUIDE)
    _fill_guide(guide, mapping)
    for place, (column, filled) in enumerate(mapping.columns.items(), 1):
        cell = sheet.cell(1, place, column)
        cell.font = Font(bold=column in mapping.required_columns)
        if column in mapping.required_columns:
            cell.fill = _REQUIRED_FILL
        letter = get_column_letter(place)
        sheet.column_dimensions[letter].width = _WIDTH
        sheet.column_dimensions[letter].number_format = _TEXT_FORMAT
        if choices := _choices(mapping, filled[0]):
            sheet.add_data_validation(_list(guide, letter, place, len(choices)))
    sheet.freeze_panes = "A2"
    return book


def _list(guide: Any, letter: str, place: int, choices: int) -> DataValidation:
    """Return a list of choices; the words are in hidden columns of the guide, one a field."""
    words = get_column_letter(len(_GUIDE_HEADER) + place)
    made = DataValidation(
        type="list",
        formula1=f"{quote_sheetname(_GUIDE)}!${words}$2:${words}${choices + 1}",
        allow_blank=True,
        showErrorMessage=True,
        errorTitle="不在可选值之内",
        error=f"请从列表中选择,可选值见“{_GUIDE}”。",
    )
    made.add(f"{letter}2:{letter}{_PREPARED_ROWS + 1}")
    return made


def _fill_guide(guide: Any, mapping: Mapping) -> None:
    _fill_row(guide, 1, _GUIDE_HEADER)
    for place, (column, filled) in enumerate(mapping.columns.items(), 1):
        target = filled[0]
        choices = _choices(mapping, target)
        required = "必填" if column in mapping.required_columns else ""
        names = "、".join(one.name for one in filled)
        told = (column, required, _way(target), "、".join(choices), _about(target), names)
        _fill_row(guide, place + 1, told)
        hidden = len(_GUIDE_HEADER) + place
        for row, word in enumerate(choices, 2):
            guide.cell(row, hidden, word)
        guide.column_dimensions[get_column_letter(hidden)].hidden = True
    for place, width in enumerate(_GUIDE_WIDTHS, 1):
        guide.column_dimensions[get_column_letter(place)].width = width
    guide.freeze_panes = "B2"


def _fill_row(guide: Any, row: int, texts: Sequence[str]) -> None:
    for place, text in enumerate(texts, 1):
        cell = guide.cell(row, place, text or None)
        cell.font = Font(bold=row == 1)
        cell.alignment = Alignment(wrap_text=True, vertical="top")


def _choices(mapping: Mapping, target: Target) -> list[str]:
    """Return the words to choose from, one for each code."""
    if target.kind is FieldKind.FLAG:
        return ["是", "否"]
    words = words_by_code(target, mapping.values.get(target.name, {}))
    codes = [code for code in target.codes if code] or [*words]
    return [str(words.get(code, code)) for code in codes]


def _way(target: Target) -> str:
    limits = []
    if target.max_length is not None and not target.codes:
        limits.append(
            f"至多 {target.max_length:,} {'项' if target.kind is FieldKind.LIST else '字'}"
        )
    if target.minimum is not None:
        limits.append(f"不小于 {target.minimum:,}")
    if target.maximum is not None:
        limits.append(f"不大于 {target.maximum:,}")
    return ",".join([_KINDS[target.kind], *limits])


def _about(target: Target) -> str:
    """Return the schema's description of the field with its Chinese part first."""
    text = target.about.replace("(UTC)", "").replace(", UTC", "")  # clerks write Chinese time
    english, _, chinese = text.rpartition(". ")
    return f"{chinese} {english}." if english else chinese
