"""Read the rows of a sheet in a stream: unchanged cells, with their formulas."""

import re
from collections.abc import Generator
from contextlib import closing
from functools import cache
from typing import Final, NamedTuple

from producers.register.workbook.package import Package
from producers.register.workbook.strings import TextCollector
from producers.register.workbook.xml import Attributes, Handler, NoXml, pieces

MAX_ROWS: Final = 1_048_576
MAX_COLUMNS: Final = 16_384
# Bounds a row, so that many cells of the largest size cannot fill the memory.
_MAX_ROW_CHARACTERS: Final = 16 << 20
_REFERENCE: Final = re.compile(r"\$?([A-Za-z]{1,3})\$?\d+", re.ASCII)


class RawCell(NamedTuple):
    """An unchanged cell.

    `kind` is n (number), s (shared string), inlineStr, str (text of a formula), b, e (error) or
    d (date). `value` is "" if there is none.
    """

    kind: str
    style: int
    value: str
    is_formula: bool


class RawLine(NamedTuple):
    """A row with cells: its number in the sheet, and the cells by column, from 1."""

    number: int
    cells: dict[int, RawCell]


def lines(package: Package, part: str) -> Generator[RawLine]:
    """Yield the rows with cells; raise `NoXml` or `ValueError` if the part is damaged."""
    reader = _SheetHandler()
    with closing(package.chunks(part)) as chunks:
        for _ in pieces(chunks, reader):
            yield from reader.taken()


class _SheetHandler(Handler):
    """A handler that collects rows."""

    def __init__(self) -> None:
        self._rows: list[RawLine] = []
        self._number = 0
        self._column = 0
        self._cells: dict[int, RawCell] = {}
        self._characters = 0
        self._cell: Attributes = {}
        self._is_formula = False
        self._value: list[str] | None = None
        self._value_text = ""
        self._inline = TextCollector()

    def taken(self) -> list[RawLine]:
        """Return the rows that were finished since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "c":
            self._begin_cell(attributes)
        elif name == "v":
            self._value = []
        elif name == "f":
            self._is_formula = True
        elif name == "row":
            self._begin_row(attributes)
        else:
            self._inline.start(name)

    def text(self, text: str) -> None:
        if self._value is not None:
            self._value.append(text)
            self._count(len(text))
        else:
            self._inline.text(text)

    def end(self, name: str) -> None:
        if name == "c":
            self._end_cell()
        elif name == "v":
            self._value_text = "".join(self._value or ())
            self._value = None
        elif name == "row":
            if self._cells:
                self._rows.append(RawLine(self._number, self._cells))
        else:
            self._inline.end(name)

    def _begin_row(self, attributes: Attributes) -> None:
        self._number = int(attributes["r"]) if "r" in attributes else self._number + 1
        if not 0 < self._number <= MAX_ROWS:
            raise NoXml(f"row {self._number} is none that a sheet can have")
        self._column = self._characters = 0
        self._cells = {}

    def _begin_cell(self, attributes: Attributes) -> None:
        reference = attributes.get("r")
        self._column = column_of(reference) if reference else self._column + 1
        if self._column > MAX_COLUMNS or self._column in self._cells:
            raise NoXml(f"cell {reference or self._column} of row {self._number} is there twice")
        self._cell = attributes
        self._is_formula = False
        self._value_text = ""

    def _end_cell(self) -> None:
        kind = self._cell.get("t", "n")
        text = self._inline.taken()
        value = text if kind == "inlineStr" else self._value_text
        self._count(len(text))
        if value or self._is_formula:
            style = int(self._cell.get("s") or 0)
            self._cells[self._column] = RawCell(kind, style, value, self._is_formula)

    def _count(self, characters: int) -> None:
        self._characters += characters
        if self._characters > _MAX_ROW_CHARACTERS:
            raise NoXml(f"row {self._number} has more than {_MAX_ROW_CHARACTERS:,} characters")


def column_of(reference: str) -> int:
    """Return the number of the column of a cell, from 1."""
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise NoXml(f"{reference[:20]!r} is no cell")
    return _column(match[1].upper())


def name_of(column: int, row: int) -> str:
    """Return the name of a cell in a spreadsheet: F2."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


@cache
def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number
