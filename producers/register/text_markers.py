"""The marks by which spreadsheets and their exports keep a value text 防转换标记, taken off again.

`="000123"` is what many systems write into CSV so that Excel does not make a number of it;
`'000123` is what a person types for the same reason, and Excel shows without the mark.
"""

from __future__ import annotations

import re

# ="…" and =T("…"); a quotation mark inside is doubled. In CSV that lost a level of quoting, the
# cell ends in the mark alone. Full-width marks come from Chinese input methods.
_FORMULA_OF_TEXT = re.compile(
    r'[=＝]\s*(?:T\s*\(\s*)?["“”]((?:[^"“”]|"")*)["“”](?:\s*\))?', re.IGNORECASE
)
_APOSTROPHES = "'＇’‘`"
# Prose may begin with an apostrophe; before figures it is the mark of a spreadsheet.
_GUARDED_NUMBER = re.compile(rf"[{_APOSTROPHES}][+-]?\d[\d.,:/\-Xx]*")


def unwrapped(text: str) -> str:
    """A stripped cell without `="…"`, and without an apostrophe before figures."""
    if match := _FORMULA_OF_TEXT.fullmatch(text):
        return match[1].replace('""', '"')
    return text[1:] if _GUARDED_NUMBER.fullmatch(text) else text


def bare_code(text: str) -> str:
    """A cell of a code without any such mark, however often it was put on."""
    while True:
        bare = unwrapped(text).strip().lstrip(_APOSTROPHES)
        if len(bare) > 1 and bare[0] in '"“' and bare[-1] in '"”':
            bare = bare[1:-1]
        if bare == text:
            return text
        text = bare
