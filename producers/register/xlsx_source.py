"""Registers as XLSX: the one sheet that has the columns of the mapping, read row by row."""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from openpyxl import load_workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.utils.exceptions import InvalidFileException

from producers.register.errors import RegisterError
from producers.register.mapping import Mapping
from producers.register.source import RawRow, Source
from producers.register.text import clean_line

# What openpyxl and the modules below it raise for a file that is no workbook, or half of one.
_UNREADABLE = (
    BadZipFile, InvalidFileException, ParseError, zlib.error,
    KeyError, ValueError, TypeError, IndexError, EOFError, OSError,
)  # fmt: skip

# A spreadsheet keeps 15 digits; an identity number entered as a number is rounded for ever.
_EXACT_NUMBERS: Final = 10**15
_HALF_SECOND: Final = timedelta(microseconds=500_000)
_ERRORS: Final = frozenset(
    ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA")
)

# Number of the row in the sheet, its cells as text, what is wrong with them or "".
Line = tuple[int, list[str], str]


def open_xlsx(path: Path, mapping: Mapping) -> Source:
    """Open a workbook; the columns of the mapping tell the sheet."""
    with _understood(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and extensions, which no row depends on
        workbook = load_workbook(path, read_only=True, data_only=True)
    try:
        if workbook.epoch == CALENDAR_MAC_1904:
            raise RegisterError(
                f"{path}: the workbook counts dates from 1904: "
                "turn that off in Excel's advanced options, or save it as CSV UTF-8"
            )
        with _understood(path):
            sheet = _sheet_with(workbook, mapping, path)
            lines = _lines(sheet)
            columns = _names(next(lines))
    except BaseException:
        workbook.close()
        raise
    return Source(
        found=columns,
        columns=columns,
        rows=_rows(lines, len(columns), path),
        close=workbook.close,
        progress=lambda: None,
    )


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        kind = type(error).__name__
        raise RegisterError(
            f"{path}: not a readable XLSX workbook ({kind}): open it in a spreadsheet program "
            "and save it again"
        ) from None


def _sheet_with(workbook: Any, mapping: Mapping, path: Path) -> Any:
    """The sheet whose header has most of the mapped columns; two such sheets are refused."""
    scores = {}
    for sheet in workbook.worksheets:
        sheet.reset_dimensions()  # the size that a file claims can be wrong and would cut rows off
        header = next(_lines(sheet), None)
        if header:
            scores[sheet.title] = sum(name in mapping.columns for name in _names(header))
    if not scores:
        raise RegisterError(f"{path}: the workbook is empty: there is no header to read")
    best = [title for title, score in scores.items() if score == max(scores.values())]
    if len(best) > 1 and scores[best[0]]:
        raise RegisterError(
            f"{path}: sheets {', '.join(best)} all have the columns of a register: "
            "save the one to import as a file of its own"
        )
    return workbook[best[0]]


def _lines(sheet: Any) -> Iterator[Line]:
    """Rows that are not empty."""
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
        cells, problem = _as_text(values)
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield number, cells, problem


def _names(header: Line) -> list[str]:
    return [clean_line(cell) for cell in header[1]]


def _rows(lines: Iterator[Line], width: int, path: Path) -> Iterator[RawRow]:
    row = 0
    with _understood(path):
        for line, cells, problem in lines:
            row += 1
            rest = json.dumps(cells[width:], ensure_ascii=False) if len(cells) > width else ""
            if rest:
                problem = "the row has a cell without a column: give it a header or remove it"
            padded = cells[:width] + [""] * (width - len(cells))
            yield RawRow(row, line, padded, problem, rest)


def _as_text(values: tuple[Any, ...]) -> tuple[list[str], str]:
    problem = ""
    cells = []
    for place, value in enumerate(values, 1):
        cells.append("" if value is None else value if isinstance(value, str) else _text(value))
        if isinstance(value, str) and value in _ERRORS:
            problem = problem or f"cell {place} of the row holds the error {value}: correct it"
        if isinstance(value, (int, float)) and abs(value) >= _EXACT_NUMBERS:
            problem = problem or (
                f"cell {place} of the row is a number of more than 15 digits, which the "
                "spreadsheet has rounded: format the column as text and enter it again"
            )
    return cells, problem


def _text(value: Any) -> str:
    """The text of a cell that is none, as the same cell would stand in a CSV file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        # A day number with a fraction is never exact; registers keep whole seconds.
        return (value + _HALF_SECOND).replace(microsecond=0).isoformat(sep=" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)
