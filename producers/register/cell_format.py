"""From the value of a field to a cell: what `values` reads back as the same value."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Table
from functools import partial
from typing import Any

from producers.register.targets import Kind, Target
from schemas.instants import text_of

Cell = str | int

_LIST_MARK = "、"
_YES, _NO = "是", "否"
_ZONE = "+08:00"


def cell_maker(target: Target, words: Table[str, Any]) -> Callable[[Any], Cell]:
    """A function from a value of this target, never None, to its cell.

    `words` are those of the mapping; of several for one code the first is used.
    """
    if target.kind is Kind.INSTANT:
        return instant_cell
    if target.kind is Kind.FLAG:
        return _flag
    if target.kind is Kind.NUMBER:
        return int
    if target.kind is Kind.LIST:
        return _LIST_MARK.join
    return partial(_word, by_code=words_by_code(target, words))


def words_by_code(target: Target, words: Table[str, Any]) -> dict[Any, str]:
    """The word that is written for each code."""
    found: dict[Any, str] = {}
    for word, code in {**target.words, **words}.items():
        found.setdefault(code, word)
    return found


def instant_cell(micros: int) -> str:
    """An instant in UTC+8 without the zone, as registers write it: 2024-01-08 09:12:30."""
    return text_of(micros).removesuffix(_ZONE).replace("T", " ")


def _flag(value: bool) -> str:
    return _YES if value else _NO


def _word(value: str, by_code: dict[Any, str]) -> str:
    return by_code.get(value, value)
