"""Convert a cell of a workbook to the text that it would have in a CSV file."""

from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple

from producers.register.workbook.number_format import plain
from producers.register.workbook.parts import Workbook
from producers.register.workbook.sheet import RawCell
from producers.register.workbook.strings import unescaped
from producers.register.workbook.xml import NoXml

# A spreadsheet keeps 15 digits, so an identity number entered as a number is rounded.
_EXACT_NUMBERS: Final = 10**15
_EPOCH: Final = datetime(1899, 12, 30)  # day numbers count a 29 February 1900 that never was
_DAY_SECONDS: Final = 86_400
_LAST_DAY: Final = 2_958_465  # 9999-12-31


class Wanted(IntEnum):
    """The kind of text wanted from a column; each needs more of a cell than the one before."""

    NOTHING = 0
    VALUE = 1  # any value
    AS_SHOWN = 2  # characters: a number counts as the person sees it
    CODE = 3  # a number or a code, which no date can be


class CellText(NamedTuple):
    """The text of a cell, and what is wrong with it: the end of a sentence, or ""."""

    text: str
    problem: str = ""


def cell_text(cell: RawCell, book: Workbook, wanted: Wanted) -> CellText:
    """Return the text of a cell; raise `ValueError` or `IndexError` if the workbook is damaged."""
    if cell.is_formula and not cell.value and cell.kind != "str":
        return CellText(
            "",
            "is a formula without its value: open the workbook in a spreadsheet program and save "
            "it, or paste the values",
        )
    if not cell.value:
        return CellText("")
    if cell.kind == "e":
        return CellText(cell.value, f"holds the error {cell.value}: correct it")
    if cell.kind == "n":
        return _number(cell, book, wanted)
    return _other(cell, book, wanted)


def _other(cell: RawCell, book: Workbook, wanted: Wanted) -> CellText:
    if cell.kind == "s":
        return CellText(book.strings[int(cell.value)])
    if cell.kind == "b":
        return CellText("true" if cell.value.strip() in ("1", "true") else "false")
    if cell.kind == "d":
        return _date(cell.value, wanted)
    if cell.kind == "str":
        return CellText(unescaped(cell.value))
    if cell.kind == "inlineStr":
        return CellText(cell.value)
    raise NoXml(f"a cell of the unknown type {cell.kind[:20]!r}")


def _number(cell: RawCell, book: Workbook, wanted: Wanted) -> CellText:
    value = float(cell.value)
    if not abs(value) < _EXACT_NUMBERS:
        return CellText(
            cell.value,
            "is a number of more than 15 digits, which the spreadsheet has rounded: format the "
            "column as text and enter it again",
        )
    shown_as = book.format_of(cell.style)
    if shown_as.is_date:
        return _day(value, cell.value, wanted)
    return CellText(shown_as.shown(value) if wanted >= Wanted.AS_SHOWN else plain(value))


def _day(value: float, written: str, wanted: Wanted) -> CellText:
    if not 0 <= value <= _LAST_DAY:
        return CellText(written, "is formatted as a date and is none: correct it")
    # A day number with a fraction is never exact, and registers keep whole seconds.
    seconds = round(value * _DAY_SECONDS)
    at = _EPOCH + timedelta(seconds=seconds)
    text = at.time().isoformat() if value < 1 else at.isoformat(sep=" ")
    return _date(text, wanted)


def _date(text: str, wanted: Wanted) -> CellText:
    if wanted is Wanted.CODE:
        return CellText(
            text,
            "is a date, which the spreadsheet has made of what was entered: format the column as "
            "text and enter it again",
        )
    return CellText(text)
