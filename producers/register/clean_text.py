"""Cleaning of cells: what an export added is taken off, what a person wrote stays.

The rules, in this order (docs/register-format.md has them for clerks):
0. Private-use code points of GB18030 become their characters (`private_use`), and the mark by
   which a spreadsheet keeps a value text (`="…"`) is taken off (`wrapping`).
1. Outer white space of every kind is stripped: blanks, tabs, full-width spaces 全角空格,
   no-break and zero-width spaces, line breaks, a byte order mark.
2. Every kind of line break becomes "\\n", also `_x000D_`, as Excel writes a carriage return.
3. White space at the end of a line goes, several blank lines in a row become one, and
   several tabs in a row become one.
4. In a cell of one line (title, name, number) line breaks and tabs become one blank.
Nothing else is changed: blanks inside a line, indents and all other characters stay.
"""

from __future__ import annotations

import re

from producers.register.private_use import assigned
from producers.register.text_markers import unwrapped

_ZERO_WIDTH = "\u200b\u2060\ufeff"
EDGE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + _ZERO_WIDTH

_RETURN = "_x000D_"
_LINE_BREAK = re.compile("(?:_x000D_|\r)\n?|[\x0b\x0c\x85\u2028\u2029]")
_LAYOUT = re.compile("[\t\n\r\x0b\x0c\x85\u2028\u2029]|_x000D_")
_LAYOUTS = re.compile("(?:[\t\n\r\x0b\x0c\x85\u2028\u2029]|_x000D_)+")
_WRAPPING = ("=", "'", "＝")
_BLANK_LINES = re.compile("\n{3,}")
_TABS = re.compile("\t{2,}")

# So that a reason stays one line on a screen.
_QUOTED_CHARACTERS = 30


def clean_text(cell: str) -> str:
    """A text of several lines 内容 by rules 1 to 3; "" if nothing is left."""
    text = _stripped(cell)
    if not _LAYOUT.search(text):
        return text
    lines = _LINE_BREAK.sub("\n", text).split("\n")
    # By line, not by one regex: blanks in long runs would cost it quadratic time.
    joined = "\n".join(line.rstrip(EDGE) for line in lines)
    return _TABS.sub("\t", _BLANK_LINES.sub("\n\n", joined)).strip(EDGE)


def clean_line(cell: str) -> str:
    """A text of one line by rules 1 and 4; "" if nothing is left."""
    if cell.isprintable() and _RETURN not in cell:  # most cells; of white space only the blank
        text = cell.strip(" ")
        return _stripped(text) if text[:1] in _WRAPPING else text
    text = _stripped(cell)
    if not _LAYOUT.search(text):
        return text
    parts = (part.strip(EDGE) for part in _LAYOUTS.split(text))
    return " ".join(part for part in parts if part)


def _stripped(cell: str) -> str:
    """The cell without what was put around it, the outer white space among that."""
    text = assigned(cell).strip(EDGE)
    return unwrapped(text).strip(EDGE) if text[:1] in _WRAPPING else text


def quoted(value: str) -> str:
    """The value in quotation marks, shortened, on one line, safe to print."""
    short = value if len(value) <= _QUOTED_CHARACTERS else value[:_QUOTED_CHARACTERS] + "…"
    escaped = (char if char.isprintable() else ascii(char)[1:-1] for char in short)
    return '"' + "".join(escaped) + '"'


def is_storable(text: str) -> bool:
    """Whether Postgres and UTF-8 can hold it: no NUL, no half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
