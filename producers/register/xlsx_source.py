"""Read registers as XLSX: the only sheet with the columns of the mapping, row by row."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

from producers.register.errors import RegisterError
from producers.register.file_kinds import zip_kind
from producers.register.mapping import Mapping
from producers.register.records import CASE_ID, REST
from producers.register.source import RawRow, Source, check_width
from producers.register.targets import FieldKind
from producers.register.workbook.cell_text import Wanted, cell_text
from producers.register.workbook.merged import Area, Covered, merged_areas
from producers.register.workbook.package import Package
from producers.register.workbook.parts import Workbook, open_workbook
from producers.register.workbook.sheet import RawLine, lines, name_of
from producers.register.workbook.xml import NoXml

# The modules for ZIP files and XML raise these for a file that is damaged or no workbook. zipfile
# raises NotImplementedError for encryption and compression methods that it cannot read.
_DAMAGED_WORKBOOK = (
    BadZipFile, NoXml, zlib.error, NotImplementedError, KeyError, ValueError, TypeError,
    IndexError, EOFError, OSError, OverflowError,
)  # fmt: skip

_SHOWN: Final = (FieldKind.LINE, FieldKind.TEXT, FieldKind.LIST)


def open_xlsx(path: Path, mapping: Mapping) -> Source:
    """Open a workbook; the columns of the mapping determine the sheet."""
    opened = ExitStack()
    book = opened.enter_context(closing(_opened(path)))
    try:
        if book.counts_from_1904:
            raise RegisterError(
                f"{path}: the workbook counts dates from 1904: "
                "turn that off in Excel's advanced options, or save it as CSV UTF-8"
            )
        with _understood(path):
            part = _part_with(book, mapping, path)
            with closing(book.package.chunks(part)) as chunks:
                areas = merged_areas(chunks)
            rows = opened.enter_context(closing(lines(book.package, part)))
            header = next(line for line in rows if _texts(line, book))
            columns = _names(header, book, mapping)
        check_width(len(columns), path)
    except BaseException:
        opened.close()
        raise
    reader = _LineReader(book, mapping, columns, Covered(areas))
    return Source(
        found=columns,
        columns=columns,
        rows=_rows(rows, reader, path),
        close=opened.close,
        progress=lambda: None,
    )


def _opened(path: Path) -> Workbook:
    with _understood(path):
        package = Package(path)
        try:
            if kind := zip_kind(package.names()):
                raise RegisterError(f"{path}: is {kind}: save it as .xlsx")
            return open_workbook(package)
        except BaseException:
            package.close()
            raise


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED_WORKBOOK as error:
        told = f": {error}" if isinstance(error, NoXml) and str(error) else ""
        raise RegisterError(
            f"{path}: not a readable XLSX workbook ({type(error).__name__}{told}): "
            "open it in a spreadsheet program and save it again"
        ) from None


def _part_with(book: Workbook, mapping: Mapping, path: Path) -> str:
    """Return the sheet whose header has most mapped columns; refuse two equal ones."""
    scores: dict[tuple[str, str], int] = {}
    for title, part in book.sheets:
        with closing(lines(book.package, part)) as rows:
            header = next((line for line in rows if _texts(line, book)), None)
        if header:
            names = _names(header, book, mapping)
            scores[title, part] = sum(name in mapping.columns for name in names)
    if not scores:
        raise RegisterError(f"{path}: the workbook is empty: there is no header to read")
    best = [sheet for sheet, score in scores.items() if score == max(scores.values())]
    if len(best) > 1 and scores[best[0]]:
        raise RegisterError(
            f"{path}: sheets {', '.join(title for title, _ in best)} all have the columns of a "
            "register: save the one to import as a file of its own"
        )
    return best[0][1]


def _texts(line: RawLine, book: Workbook) -> dict[int, str]:
    """Return the cells of a row that are not blank, by column, from 1."""
    shown = ((at, cell_text(cell, book, Wanted.AS_SHOWN).text) for at, cell in line.cells.items())
    return {column: text for column, text in shown if text.strip()}


def _names(header: RawLine, book: Workbook, mapping: Mapping) -> list[str]:
    texts = _texts(header, book)
    return [mapping.named(texts.get(column, "")) for column in range(1, max(texts) + 1)]


def _rows(rows: Iterator[RawLine], reader: _LineReader, path: Path) -> Iterator[RawRow]:
    number = 0
    with _understood(path):
        for line in rows:
            row = reader.read(line, number + 1)
            if row:
                number += 1
                yield row


class _LineReader:
    """Makes raw rows of the lines of one sheet."""

    def __init__(
        self, book: Workbook, mapping: Mapping, columns: list[str], covered: Covered
    ) -> None:
        self._book = book
        self._columns = columns
        self._wanted = [_wanted(name, mapping) for name in columns]
        self._covered = covered

    def read(self, line: RawLine, row: int) -> RawRow | None:
        """Return the row, None if all of its cells are blank."""
        width = len(self._columns)
        cells = [""] * width
        rest: dict[int, str] = {}
        problem = ""
        covered = self._covered.columns(line.number)
        for column, cell in line.cells.items():
            wanted = self._wanted[column - 1] if column <= width else Wanted.AS_SHOWN
            text, wrong = cell_text(cell, self._book, wanted)
            if column <= width:
                cells[column - 1] = text
            elif text.strip():
                rest[column] = text
            if wrong and wanted and not problem:
                problem = self._told(line.number, column, wrong)
        if not problem and not rest and not any(map(str.strip, cells)):
            return None
        problem = problem or self._problem_of(line.number, covered)
        if rest:
            problem = "the row has a cell without a column: give it a header or remove it"
        surplus = [rest.get(column, "") for column in range(width + 1, max(rest, default=0) + 1)]
        told = json.dumps(surplus, ensure_ascii=False) if rest else ""
        return RawRow(row, line.number, cells, problem, told)

    def _problem_of(self, row: int, covered: dict[int, Area]) -> str:
        for column, area in covered.items():
            at = column - 1
            if column <= len(self._columns) and self._wanted[at] and self._columns[at]:
                first = name_of(area.first_column, area.first_row)
                return self._told(row, column, f"is merged with {first}: unmerge and fill it in")
        return ""

    def _told(self, row: int, column: int, wrong: str) -> str:
        name = self._columns[column - 1] if column <= len(self._columns) else ""
        told, colon, cure = wrong.partition(":")
        place = f"{name_of(column, row)}{f', column {name}' if name else ''}"
        return f"cell {column} of the row {told} ({place}){colon}{cure}"


def _wanted(column: str, mapping: Mapping) -> Wanted:
    filled = mapping.columns.get(column)
    if filled is None:
        return Wanted.AS_SHOWN if column in ("", CASE_ID, REST) else Wanted.NOTHING
    if all(target.holds_code or target.codes for target in filled):
        return Wanted.CODE
    return Wanted.AS_SHOWN if filled[0].kind in _SHOWN else Wanted.VALUE
