"""Write the value of a field as a cell that `cell_values` reads back as the same value."""

from collections.abc import Callable
from collections.abc import Mapping as Table
from typing import Any

from producers.register.targets import FieldKind, Target
from schemas.instants import text_of

Cell = str | int

_LIST_MARK = "、"
_ZONE = "+08:00"


def cell_maker(target: Target, words: Table[str, Any]) -> Callable[[Any], Cell]:
    """Return a function from a value of this target, never None, to its cell.

    `words` are those of the mapping; the first word for a code is used.
    """
    if target.kind is FieldKind.INSTANT:
        return instant_cell
    if target.kind is FieldKind.FLAG:
        return lambda value: "是" if value else "否"
    if target.kind is FieldKind.NUMBER:
        return int
    if target.kind is FieldKind.LIST:
        return _LIST_MARK.join
    by_code = words_by_code(target, words)
    return lambda value: by_code.get(value, value)


def words_by_code(target: Target, words: Table[str, Any]) -> dict[Any, str]:
    """Return the word that is written for each code."""
    found: dict[Any, str] = {}
    for word, code in {**target.words, **words}.items():
        found.setdefault(code, word)
    return found


def instant_cell(micros: int) -> str:
    """Return an instant in UTC+8 as registers write it, without the zone: 2024-01-08 09:12:30."""
    return text_of(micros).removesuffix(_ZONE).replace("T", " ")
