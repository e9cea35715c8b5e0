"""Registers as CSV 逗号分隔: separated by comma, tab or semicolon, found from the header.

Quoting is read strictly. One bad row must not take its neighbours along: when a record that began
on one line turns out wrong on a later one, only its first line is rejected, and reading goes on
with the second.
"""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from producers.register.clean_text import clean_line
from producers.register.errors import RegisterError
from producers.register.formula_guard import MARK, unguarded
from producers.register.mapping import Mapping
from producers.register.source import (
    MAX_COLUMNS,
    RawRow,
    Source,
    check_width,
    open_text,
    read_line,
    text_progress,
)
from producers.register.text_encoding import find_encoding

# Python's own bound is 131,072 characters, and texts beyond it must be rejected by us with their
# row, not by an error of the csv module; it also bounds what an unclosed quote can swallow.
FIELD_CHARACTERS_LIMIT: Final = 1 << 20

# A first line by which some programs tell Excel the separator.
_SEPARATOR_HINT: Final = re.compile('"?sep=."?', re.IGNORECASE)
_DELIMITERS: Final = (",", "\t", ";")


class Lines(Iterator[str]):
    """Lines of a file with their numbers, which can be taken back to the second of a record."""

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
        """The number of the line that comes next."""
        self._taken.clear()
        return self.number + 1

    def take_back(self) -> str:
        """Give the first line of this record as text; the others will come again."""
        first, *others = self._taken
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        return first


def open_csv(path: Path, mapping: Mapping) -> Source:
    """Open a CSV file; the columns of the mapping tell the separator."""
    csv.field_size_limit(FIELD_CHARACTERS_LIMIT)
    encoding = find_encoding(path)
    file = open_text(path, encoding)
    try:
        lines = Lines(file, path)
        delimiter, header = _header(lines, path, mapping)
        check_width(len(header), path)
    except BaseException:
        file.close()
        raise
    columns = [mapping.named(name) for name in header]
    rows = _rows(lines, delimiter, len(columns))
    return Source(
        found=columns,
        columns=columns,
        rows=_unguarded(rows) if mapping.formula_guard else rows,
        close=file.close,
        progress=text_progress(file, path),
        remark=encoding.remark,
    )


def _header(lines: Lines, path: Path, mapping: Mapping) -> tuple[str, list[str]]:
    """The separator under which most columns are mapped, and the cells of the first record.

    Leaves `lines` behind the header.
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
        return best, next(csv.reader(_chained(first, lines), delimiter=best, strict=True))
    except csv.Error as error:
        raise RegisterError(f"{path}: the header on line 1 {_explained(error)}") from None


def _first_line(lines: Lines, path: Path) -> str:
    for line in lines:
        if "\0" in line:
            raise RegisterError(f"{path}: line {lines.number} has NULs: save it as UTF-8")
        if clean_line(line).strip(",;") and not _SEPARATOR_HINT.fullmatch(line.strip()):
            return line
    raise RegisterError(f"{path}: the file is empty: there is no header to read")


def _chained(first: str, lines: Lines) -> Iterator[str]:
    yield first
    yield from lines


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
    """The rows without the marks that an export put before formulas."""
    for raw in rows:
        if MARK in "".join(raw.cells):  # one look per row is cheaper than one per cell
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
    """The csv module's message in words that a clerk can act on."""
    text = str(error)
    if "unexpected end" in text:
        return "opens a quotation mark that is never closed: close or remove it"
    if "field larger" in text:
        return (
            f"has a cell of more than {FIELD_CHARACTERS_LIMIT:,} characters, "
            "perhaps from a quotation mark that is never closed: close or remove it"
        )
    if "expected after" in text:
        return "has text behind a closing quotation mark: double every mark inside a cell"
    return f"is no CSV ({text}): export the file again"
