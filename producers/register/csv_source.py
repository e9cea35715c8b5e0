"""Read registers as CSV 逗号分隔, separated by comma, tab or semicolon, as the header shows.

Quoting is read strictly. A bad row must not reject its neighbours: if a record turns out wrong on a
later line than its first, only the first line is rejected, and reading continues with the second.
"""

import csv
import json
import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final, TextIO

from producers.register.clean_text import clean_line
from producers.register.errors import RegisterError
from producers.register.formula_guard import MARK, unguarded
from producers.register.mapping import Mapping
from producers.register.source import (
    MAX_COLUMNS,
    Columns,
    RawRow,
    Source,
    check_width,
    open_text,
    read_line,
)

# Python's own bound is 131,072 characters, and longer texts must be rejected with their row, not by
# an error of the csv module. This also bounds the text after an unclosed quotation mark.
FIELD_CHARACTERS_LIMIT: Final = 1 << 20

# The first line of some programs, which gives Excel the separator.
_SEPARATOR_HINT: Final = re.compile('"?sep=."?', re.IGNORECASE)
_DELIMITERS: Final = (",", "\t", ";")


class Lines(Iterator[str]):
    """Lines of a file with their numbers; all but the first line of a record can be read again."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 0  # of the line given last, from 1

    def __next__(self) -> str:
        if self._again:
            line = self._again.popleft()
        else:
            line = read_line(self._file, self._path, self.number + 1)
            if not line:
                raise StopIteration
        self.number += 1
        self._taken.append(line)
        return line

    def begin_record(self) -> int:
        """Return the number of the next line."""
        self._taken.clear()
        return self.number + 1

    def take_back(self) -> str:
        """Return the first line of this record; the others will be read again."""
        first, *others = self._taken
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        return first


def open_csv(path: Path, mapping: Mapping) -> Source:
    """Open a CSV file; the columns of the mapping determine the separator."""
    csv.field_size_limit(FIELD_CHARACTERS_LIMIT)

    def read(file: TextIO) -> tuple[Columns, Columns, Iterator[RawRow]]:
        lines = Lines(file, path)
        delimiter, header = _header(lines, path, mapping)
        check_width(len(header), path)
        columns = [mapping.named(name) for name in header]
        rows = _rows(lines, delimiter, len(columns))
        return columns, columns, _unguarded(rows) if mapping.formula_guard else rows

    return open_text(path, read)


def _header(lines: Lines, path: Path, mapping: Mapping) -> tuple[str, list[str]]:
    """Return the separator by which most columns are mapped, and the cells of the first record.

    Then `lines` continue after the header.
    """
    first = _first_line(lines, path)
    best, most = ",", -1
    for delimiter in _DELIMITERS:
        cells = next(csv.reader([first], delimiter=delimiter), [])
        score = sum(mapping.named(cell) in mapping.columns for cell in cells[:MAX_COLUMNS])
        if score > most:
            best, most = delimiter, score
    lines.begin_record()
    try:
        return best, next(csv.reader(chain([first], lines), delimiter=best, strict=True))
    except csv.Error as error:
        raise RegisterError(f"{path}: the header on line 1 {_explained(error)}") from None


def _first_line(lines: Lines, path: Path) -> str:
    for line in lines:
        if "\0" in line:
            raise RegisterError(f"{path}: line {lines.number} has NULs: save it as UTF-8")
        if clean_line(line).strip(",;") and not _SEPARATOR_HINT.fullmatch(line.strip()):
            return line
    raise RegisterError(f"{path}: the file is empty: there is no header to read")


def _rows(lines: Lines, delimiter: str, width: int) -> Iterator[RawRow]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    row = 0
    while True:
        line = lines.begin_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row += 1
            first = lines.take_back().rstrip("\r\n")
            yield RawRow(row, line, [""] * width, f"the row {_explained(error)}", first)
            continue
        if not any(map(str.strip, cells)):
            continue  # an empty row holds nothing that could be lost
        row += 1
        yield RawRow(row, line, cells) if len(cells) == width else _misfit(row, line, cells, width)


def _unguarded(rows: Iterator[RawRow]) -> Iterator[RawRow]:
    """Yield the rows without the marks that an export put before formulas."""
    for raw in rows:
        if MARK in "".join(raw.cells):  # one check per row is cheaper than one per cell
            yield raw._replace(cells=[unguarded(cell) for cell in raw.cells])
        else:
            yield raw


def _misfit(row: int, line: int, cells: list[str], width: int) -> RawRow:
    problem = (
        f"the row has {len(cells)} cells for {width} columns: "
        "put a cell that holds the separator or a line break in quotation marks"
    )
    rest = json.dumps(cells[width:], ensure_ascii=False) if len(cells) > width else ""
    padded = cells[:width] + [""] * (width - len(cells))
    return RawRow(row, line, padded, problem, rest)


def _explained(error: csv.Error) -> str:
    """Return the csv module's message in words that a clerk can act on."""
    text = str(error)
    if "unexpected end" in text:
        return "opens a quotation mark that is never closed: close or remove it"
    if "field larger" in text:
        return (
            f"has a cell of more than {FIELD_CHARACTERS_LIMIT:,} characters, "
            "perhaps from a quotation mark that is never closed: close or remove it"
        )
    if "expected after" in text:
        return "has text after a closing quotation mark: double every mark inside a cell"
    return f"is no CSV ({text}): export the file again"
