"""Clean cells: remove what an export added and keep what a person wrote.

The rules, in this order (docs/register-format.md has them for clerks):
0. Private-use code points of GB18030 become their characters (`private_use`). The mark that keeps
   a value text in a spreadsheet 防转换标记 is removed: many systems write `="000123"` into CSV so
   that Excel does not make a number of it, and people type `'000123`.
1. Outer white space of every kind is stripped: blanks, tabs, full-width spaces 全角空格,
   no-break and zero-width spaces, line breaks, a byte order mark.
2. Every kind of line break becomes "\\n", also `_x000D_`, as Excel writes a carriage return.
3. White space at the end of a line is removed, several blank lines in a row become one, and
   several tabs in a row become one.
4. In a cell of one line (title, name, number) line breaks and tabs become one blank.
Blanks inside a line, indents and all other characters stay.
"""

import re

from producers.register.private_use import assigned

_ZERO_WIDTH = "\u200b\u2060\ufeff"
EDGE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + _ZERO_WIDTH

_RETURN = "_x000D_"
_LINE_BREAK = re.compile("(?:_x000D_|\r)\n?|[\x0b\x0c\x85\u2028\u2029]")
_LAYOUT = re.compile("[\t\n\r\x0b\x0c\x85\u2028\u2029]|_x000D_")
_LAYOUTS = re.compile("(?:[\t\n\r\x0b\x0c\x85\u2028\u2029]|_x000D_)+")
_WRAPPING = ("=", "'", "＝")
_BLANK_LINES = re.compile("\n{3,}")
_TABS = re.compile("\t{2,}")

# ="…" and =T("…"); a quotation mark inside is doubled. In CSV that lost a level of quoting, the
# cell ends in the mark alone. Full-width marks come from Chinese input methods.
_FORMULA_OF_TEXT = re.compile(
    r'[=＝]\s*(?:T\s*\(\s*)?["“”]((?:[^"“”]|"")*)["“”](?:\s*\))?', re.IGNORECASE
)
_APOSTROPHES = "'＇’‘`"
# Prose may begin with an apostrophe; before digits it is the mark of a spreadsheet.
_GUARDED_NUMBER = re.compile(rf"[{_APOSTROPHES}][+-]?\d[\d.,:/\-Xx]*")

# A reason should stay on one line of a screen.
_QUOTED_CHARACTERS = 30


def clean_text(cell: str) -> str:
    """Return a text of several lines 内容, by rules 1 to 3."""
    text = _stripped(cell)
    if not _LAYOUT.search(text):
        return text
    lines = _LINE_BREAK.sub("\n", text).split("\n")
    # Not by one regex, which would take quadratic time for long runs of blanks.
    joined = "\n".join(line.rstrip(EDGE) for line in lines)
    return _TABS.sub("\t", _BLANK_LINES.sub("\n\n", joined)).strip(EDGE)


def clean_line(cell: str) -> str:
    """Return a text of one line, by rules 1 and 4."""
    if cell.isprintable() and _RETURN not in cell:  # most cells: the only white space is the blank
        text = cell.strip(" ")
        return _stripped(text) if text[:1] in _WRAPPING else text
    text = _stripped(cell)
    if not _LAYOUT.search(text):
        return text
    parts = (part.strip(EDGE) for part in _LAYOUTS.split(text))
    return " ".join(part for part in parts if part)


def _stripped(cell: str) -> str:
    """Return the cell without outer white space and marks."""
    text = assigned(cell).strip(EDGE)
    return _unwrapped(text).strip(EDGE) if text[:1] in _WRAPPING else text


def _unwrapped(text: str) -> str:
    """Return a stripped cell without `="…"`, and without an apostrophe before digits."""
    if match := _FORMULA_OF_TEXT.fullmatch(text):
        return match[1].replace('""', '"')
    return text[1:] if _GUARDED_NUMBER.fullmatch(text) else text


def bare_code(text: str) -> str:
    """Return a cell of a code without any such marks, repeated ones too."""
    while True:
        bare = _unwrapped(text).strip().lstrip(_APOSTROPHES)
        if len(bare) > 1 and bare[0] in '"“' and bare[-1] in '"”':
            bare = bare[1:-1]
        if bare == text:
            return text
        text = bare


def quoted(value: str) -> str:
    """Return the value in quotation marks, shortened, on one line, safe to print."""
    short = value if len(value) <= _QUOTED_CHARACTERS else value[:_QUOTED_CHARACTERS] + "…"
    escaped = (char if char.isprintable() else ascii(char)[1:-1] for char in short)
    return '"' + "".join(escaped) + '"'
