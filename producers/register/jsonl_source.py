"""Registers as JSON lines: one object per line, its keys are the columns.

The first object must have the required columns; what it leaves out of the others, later ones may
have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from producers.register.encoding import find_encoding
from producers.register.errors import RegisterError, RowError
from producers.register.mapping import Mapping
from producers.register.source import RawRow, Source, open_text, read_line, text_progress
from producers.register.text import clean_line, quoted

Line = tuple[int, str]


def open_jsonl(path: Path, mapping: Mapping) -> Source:
    """Open a JSON lines file."""
    encoding = find_encoding(path)
    file = open_text(path, encoding)
    try:
        lines = _lines(file, path)
        first = next(lines, None)
        if first is None:
            raise RegisterError(f"{path}: the file is empty: there is no row to read")
        found = list(_first_object(first, path))
    except BaseException:
        file.close()
        raise
    columns = [*found, *(name for name in mapping.columns if name not in found)]
    return Source(
        found=found,
        columns=columns,
        rows=_rows(_preceded(first, lines), columns, mapping),
        close=file.close,
        progress=text_progress(file, path),
        remark=encoding.remark,
    )


def _lines(file: TextIO, path: Path) -> Iterator[Line]:
    """Lines that are not blank, with their numbers."""
    number = 0
    while text := read_line(file, path, number + 1):
        number += 1
        if not text.isspace():
            yield number, text


def _first_object(line: Line, path: Path) -> dict[str, str]:
    try:
        return _cells(line[1])
    except RowError as error:
        raise RegisterError(f"{path}: line {line[0]} {error}") from None


def _rows(lines: Iterator[Line], columns: list[str], mapping: Mapping) -> Iterator[RawRow]:
    for row, (number, text) in enumerate(lines, 1):
        try:
            cells = _cells(text)
        except RowError as error:
            empty = [""] * len(columns)
            yield RawRow(row, number, empty, f"the line {error}", text.rstrip("\r\n"))
            continue
        row_cells = [cells.pop(name, "") for name in columns]
        surplus = {name: cell for name, cell in cells.items() if not mapping.passes_over(name)}
        yield (
            _surplus(row, number, row_cells, surplus) if surplus else RawRow(row, number, row_cells)
        )


def _surplus(row: int, number: int, row_cells: list[str], surplus: dict[str, str]) -> RawRow:
    problem = f"column {quoted(next(iter(surplus)))} is not in the mapping: rename or remove it"
    return RawRow(row, number, row_cells, problem, json.dumps(surplus, ensure_ascii=False))


def _preceded(first: Line, lines: Iterator[Line]) -> Iterator[Line]:
    yield first
    yield from lines


def _cells(text: str) -> dict[str, str]:
    try:
        pairs = json.loads(text, object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        raise RowError("is not JSON: write one object per line") from None
    if not isinstance(pairs, dict):
        raise RowError("is not a JSON object: write one object per line")
    return {name: _cell(name, value) for name, value in pairs.items()}


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {clean_line(name): value for name, value in pairs}
    if len(found) < len(pairs):
        raise RowError("names a column twice: leave one")
    return found


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (str, int, float)):
        return str(value)
    raise RowError(f"has a list or an object in column {quoted(name)}: write one value")
