"""Read registers as JSON lines: one object per line, whose keys are the columns.

The first object must have the required columns; later ones may have further columns of the mapping.
Numbers keep their digits; a number that JSON readers round is refused.
"""

import json
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from producers.register.clean_text import quoted
from producers.register.errors import RegisterError, RowError
from producers.register.mapping import Mapping
from producers.register.source import Columns, RawRow, Source, check_width, open_text, read_line
from schemas.limits import MAX_NUMBER

Line = tuple[int, str]

# Zero fractions are removed below this; larger numbers may have lost their last digits.
_EXACT: Final = 10**15


class _Object(NamedTuple):
    """An object as cells; `problem` is an error in one of its values, or ""."""

    cells: dict[str, str]
    problem: str = ""


class _Fraction(str):
    """A number with a fraction or an exponent, as the file has it."""

    __slots__ = ()


def open_jsonl(path: Path, mapping: Mapping) -> Source:
    """Open a JSON lines file."""

    def read(file: TextIO) -> tuple[Columns, Columns, Iterator[RawRow]]:
        lines = _lines(file, path)
        first = next(lines, None)
        if first is None:
            raise RegisterError(f"{path}: the file is empty: there is no row to read")
        try:
            found = [*_object(first[1], mapping).cells]
        except RowError as error:
            raise RegisterError(f"{path}: line {first[0]} {error}") from None
        check_width(len(found), path)
        columns = [*found, *(name for name in mapping.columns if name not in found)]
        return found, columns, _rows(chain([first], lines), columns, mapping)

    return open_text(path, read)


def _lines(file: TextIO, path: Path) -> Iterator[Line]:
    """Yield the lines that are not blank, with their numbers."""
    number = 0
    while text := read_line(file, path, number + 1):
        number += 1
        if not text.isspace():
            yield number, text


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
            first = quoted(next(iter(surplus)))
            problem = f"column {first} is not in the mapping: rename or remove it"
            rest = json.dumps(surplus, ensure_ascii=False)
            yield RawRow(row, number, row_cells, problem, rest)
        else:
            yield RawRow(row, number, row_cells, problem)


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
    """Return None for NaN, which programs write for no value; infinity is a lost number."""
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
