"""Convert cells to values of fields, by one converter per column, made once per file."""

import re
from collections.abc import Callable
from collections.abc import Mapping as Table
from functools import partial
from typing import Any, Final

from producers.register.clean_text import clean_line, clean_text
from producers.register.code_cells import (
    check_error,
    check_present,
    clean_code,
    code,
    is_shortened,
    number_or_none,
    plain,
    whole,
)
from producers.register.dates import parse_instant
from producers.register.errors import CellError
from producers.register.targets import FieldKind, Target

Converter = Callable[[str], Any]

# A value of `now` for which no date lies in the future.
BOUNDLESS: Final = 2**62

_FLAGS = {
    **dict.fromkeys(("是", "有", "true", "yes", "y", "1", "√"), True),
    **dict.fromkeys(("否", "无", "false", "no", "n", "0", "×"), False),
}
# Separators of persons or units in one cell, which no name contains.
_LIST_MARKS = re.compile("[、;；,，\n]")
_WHOLE_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
# A person may be called Null.
_NAME = "petitioner.name"
_OFTEN_NONE = frozenset(("petitioner.id_number", "petitioner.phone", "repeat_of"))
_AREA = re.compile(r"\d{6,12}", re.ASCII)


def converter(filled: tuple[Target, ...], words: Table[str, Any], now: int) -> Converter:
    """Return a function from a raw cell to the value for these targets, which are of one kind.

    It returns None for an empty cell and raises `CellError`. `words` are the codes of the mapping;
    `now` (micros) bounds dates.
    """
    kind = filled[0].kind
    if kind is FieldKind.INSTANT:
        return partial(_instant, now=BOUNDLESS if filled[0].is_deadline else now)
    if kind is FieldKind.TEXT:
        return partial(_text, limit=_limit(filled))
    if kind is FieldKind.LINE:
        return _Line(filled, words)
    if kind is FieldKind.FLAG:
        return partial(_flag, words={**_FLAGS, **words})
    return partial(_number if kind is FieldKind.NUMBER else _list, target=filled[0])


class _Line:
    """A converter to a text of one line, or to the code of a word of the mapping."""

    def __init__(self, filled: tuple[Target, ...], words: Table[str, Any]) -> None:
        self._limit = _limit(filled)
        self._words = words
        # Codes are accepted too, so that our own exports can be read back.
        codes = next((target.codes for target in filled if target.codes), ())
        self._codes = frozenset(codes) or frozenset(words.values())
        self._is_area = any(target.name == "area" for target in filled)
        self._clean = _cleaner(filled, coded=bool(self._codes))

    def __call__(self, cell: str) -> str | None:
        text = clean_line(cell)
        if not text:
            return None
        if text in self._words:
            return str(self._words[text])
        if self._codes and text in self._codes:
            return text
        return self._checked(self._clean(cell)) or None

    def _checked(self, text: str) -> str:
        if text in self._words:
            return str(self._words[text])
        if self._codes and text not in self._codes:
            raise _no_word([*self._words] or sorted(self._codes))
        _check_length(text, self._limit)
        if self._is_area and not _AREA.fullmatch(text):
            raise CellError("is not an area code: write 6 to 12 digits (GB/T 2260)")
        return text


def _cleaner(filled: tuple[Target, ...], *, coded: bool) -> Callable[[str], str]:
    """Return a function from a raw cell of one line to its text, by the kind of its fields."""
    names = {target.name for target in filled}
    if names <= _OFTEN_NONE:
        return number_or_none
    if coded or all(target.holds_code for target in filled):
        return code
    return partial(_prose, check=check_error if _NAME in names else check_present)


def _prose(cell: str, check: Callable[[str], None]) -> str:
    text = clean_line(cell)
    check(text)
    if text[:1].isdigit() and "+" in text and is_shortened(text):
        raise CellError("was shortened by a spreadsheet: format the column as text, enter it again")
    return text


def _text(cell: str, limit: int | None) -> str | None:
    text = clean_text(cell)
    if not text:
        return None
    check_present(text)
    _check_length(text, limit)
    return text


def _instant(cell: str, now: int) -> Any:
    text = clean_code(cell)
    return parse_instant(text, now) if text else None


def _flag(cell: str, words: dict[str, Any]) -> bool | None:
    text = clean_line(cell)
    if text not in words:
        text = whole(plain(cell))
    if not text:
        return None
    value = words.get(text, words.get(text.lower()))
    if value is None:
        raise _no_word(list(words))
    return bool(value)


def _number(cell: str, target: Target) -> int | None:
    text = clean_code(cell)
    if not text:
        return None
    if not _WHOLE_NUMBER.fullmatch(text):
        raise CellError("is not a whole number: write digits only")
    number = int(text)
    if target.minimum is not None and number < target.minimum:
        raise CellError(f"is too small: at least {target.minimum}")
    if target.maximum is not None and number > target.maximum:
        raise CellError(f"is too large: at most {target.maximum}")
    return number


def _list(cell: str, target: Target) -> list[str] | None:
    text = clean_text(cell)
    check_error(text)
    parts = [clean_line(part) for part in _LIST_MARKS.split(text)]
    items = [part for part in parts if part]
    if target.max_length is not None and len(items) > target.max_length:
        raise CellError(f"has {len(items)} entries: at most {target.max_length}")
    return items or None


def _limit(filled: tuple[Target, ...]) -> int | None:
    return min((one.max_length for one in filled if one.max_length is not None), default=None)


def _check_length(text: str, limit: int | None) -> None:
    if limit is not None and len(text) > limit:
        raise CellError(f"has {len(text)} characters, at most {limit} fit: shorten it")


def _no_word(known: list[str]) -> CellError:
    words = [word for word in known if word]
    return CellError(f"is not one of {', '.join(words)}: use one of them")
