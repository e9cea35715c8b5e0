"""Registers as JSON lines: one object per line, its keys are the columns.

The first object must have the required columns; what it leaves out of the others, later ones may
have. Numbers keep the digits that stand in the file; one that JSON readers round is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from producers.register.clean_text import quoted
from producers.register.errors import RegisterError, RowError
from producers.register.mapping import Mapping
from producers.register.source import (
    RawRow,
    Source,
    check_width,
    open_text,
    read_line,
    text_progress,
)
from producers.register.text_encoding import find_encoding
from schemas.limits import MAX_NUMBER

Line = tuple[int, str]

# Fractions of zeros are taken off below; of larger numbers a program may have lost the last digits.
_EXACT: Final = 10**15


class _Object(NamedTuple):
    """An object as cells; `problem` is what is wrong with one of its values, "" if nothing."""

    cells: dict[str, str]
    problem: str = ""


class _Fraction(str):
    """A number with a fraction or an exponent, as it stands in the file."""

    __slots__ = ()


def open_jsonl(path: Path, mapping: Mapping) -> Source:
    """Open a JSON lines file."""
    encoding = find_encoding(path)
    file = open_text(path, encoding)
    try:
        lines = _lines(file, path)
        first = next(lines, None)
        if first is None:
            raise RegisterError(f"{path}: the file is empty: there is no row to read")
        found = list(_first_object(first, path, mapping).cells)
        check_width(len(found), path)
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


def _first_object(line: Line, path: Path, mapping: Mapping) -> _Object:
    try:
        return _object(line[1], mapping)
    except RowError as error:
        raise RegisterError(f"{path}: line {line[0]} {error}") from None


def _rows(lines: Iterator[Line], columns: list[str], mapping: Mapping) -> Iterator[RawRow]:
    for row, (number, text) in enumerate(lines, 1):
        try:
            cells, problem = _object(text, mapping)
        except RowError as error:
            empty = [""] * len(columns)
            yield RawRow(row, number, empty, f"the line {error}", text.rstrip("\r\n"))
            continue
        row_cells = [cells.pop(name, "") for name in columns]
        surplus = {name: cell for name, cell in cells.items() if not mapping.passes_over(name)}
        if surplus:
            yield _surplus(row, number, row_cells, surplus)
        else:
            yield RawRow(row, number, row_cells, problem)


def _surplus(row: int, number: int, row_cells: list[str], surplus: dict[str, str]) -> RawRow:
    problem = f"column {quoted(next(iter(surplus)))} is not in the mapping: rename or remove it"
    return RawRow(row, number, row_cells, problem, json.dumps(surplus, ensure_ascii=False))


def _preceded(first: Line, lines: Iterator[Line]) -> Iterator[Line]:
    yield first
    yield from lines


def _object(text: str, mapping: Mapping) -> _Object:
    try:
        pairs = json.loads(
            text,
            object_pairs_hook=partial(_once_each, mapping),
            parse_float=_Fraction,
            parse_constant=_constant,
        )
    except (ValueError, RecursionError):
        raise RowError("is not JSON: write one object per line") from None
    if not isinstance(pairs, dict):
        raise RowError("is not a JSON object: write one object per line")
    problems = (
        f"column {name} holds a number that JSON readers round: write it in quotation marks"
        for name, value in pairs.items()
        if _is_inexact(value) and name in mapping.columns
    )
    cells = {name: _cell(name, value) for name, value in pairs.items()}
    return _Object(cells, next(problems, ""))


def _once_each(mapping: Mapping, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {mapping.named(name): value for name, value in pairs}
    if len(found) < len(pairs):
        raise RowError("names a column twice: leave one")
    return found


def _constant(name: str) -> _Fraction | None:
    """NaN is how programs write that there is no value; infinity is a number that got lost."""
    return None if name == "NaN" else _Fraction(name)


def _is_inexact(value: Any) -> bool:
    if isinstance(value, _Fraction):
        return not abs(float(value)) < _EXACT
    return type(value) is int and abs(value) > MAX_NUMBER


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _Fraction):
        number = float(value)
        exact = abs(number) < _EXACT and number.is_integer()
        return str(int(number)) if exact else str(value)
    if isinstance(value, (str, int)):
        return str(value)
    raise RowError(f"has a list or an object in column {quoted(name)}: write one value")
