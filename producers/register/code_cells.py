"""Clean cells of numbers and codes 号码、代码: identity and origin numbers, telephones, areas.

All ways to write the same code become one, and a code that a spreadsheet or a program has rounded,
cut or changed is refused, because the file no longer has its digits.
"""

import re
import unicodedata
from typing import Final

from producers.register.clean_text import bare_code, clean_line
from producers.register.errors import CellError

# A spreadsheet keeps this many digits of a number; further ones become zeros.
EXACT_DIGITS: Final = 15

# Spreadsheets and programs write a number that is too long as 1.1E+17, 1E+17, 1.1e17, 1,1E+17.
_SHORTENED: Final = re.compile(
    r"[+-]?\d+[.,]\d*\s*E\s*[+-]?\s*\d{1,3}|[+-]?\d{1,3}\s*E\s*\+\s*\d{1,3}|[+-]?\dE-\d\d"
    r"|[+-]?\d+(?:[.,]\d+)?\s*[×xX*]\s*10\s*\^\s*\+?\d+",
    re.ASCII | re.IGNORECASE,
)
_POWERS: Final = frozenset("eExX*")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.0+)?", re.ASCII)
_WITH_ZERO_FRACTION: Final = re.compile(r"[+-]?(\d+)\.0+", re.ASCII)
# 15 or 18 digits, the last of which may be X.
_IDENTITY: Final = re.compile(r"\d{15}|\d{17}[\dXx]", re.ASCII)
# Matches an identity number whose last digits Excel has replaced by zeros: area code, date of
# birth, three zeros.
_ROUNDED_IDENTITY: Final = re.compile(
    r"[1-9]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d000", re.ASCII
)
# Most cells have no marks, no invisible and no full-width characters.
_PLAIN: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z \-:/._]*", re.ASCII)
# Excel shows the date that it made of 1-2 or 2024-1 like this.
_MADE_DATE: Final = re.compile(
    r"\d{1,2}月\d{1,2}日|(?:\d{1,2}-)?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:-\d{2,4})?"
)
_HASHES: Final = re.compile("#{2,}")
# Format characters that come with text copied from web pages and chat programs.
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufe0e\ufe0f]")
_BLANKS: Final = re.compile(r"\s+")

# Programs write these for no value. As an identity, one of them would make many persons the same.
_NO_VALUE: Final = frozenset(
    [
        *("nan", "NaN", "NAN", "NaT", "<NA>", "None", "none", "null", "NULL", "Null", "undefined"),
        *("N/A", "\\N", "(null)", "(NULL)", "[NULL]", "<null>", "<NULL>", "Infinity", "inf"),
    ]
)
# People write these for no value.
_NONE: Final = frozenset(
    [
        *("无", "暂无", "没有", "不详", "未知", "未提供", "不提供", "拒绝提供"),
        *("/", "-", "--", "—", "——"),
    ]
)
# Spreadsheets show these for a cell that they cannot compute.
_ERRORS: Final = frozenset(
    [
        *("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"),
        *("#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!"),
        *("#EXTERNAL!", "#PYTHON!"),
    ]
)

_AS_TEXT: Final = "format the column as text and enter it again"
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def clean_code(cell: str) -> str:
    """Return the code in a cell or ""; raise `CellError` if digits were lost."""
    text = plain(cell)
    if not text or text.isalnum():
        return text
    if is_shortened(text):
        raise CellError(f"was shortened by a spreadsheet: {_AS_TEXT}")
    if _HASHES.fullmatch(text):
        raise CellError("shows # because a column was too narrow: widen it and export again")
    if text[0] == "=":
        raise CellError("is a formula, not its value: paste the values and export again")
    return whole(text)


def code(cell: str) -> str:
    """Do as `clean_code`, for columns that hold no date."""
    text = clean_code(cell)
    if _MADE_DATE.fullmatch(text):
        raise CellError(f"is a date, which a spreadsheet made of what was entered: {_AS_TEXT}")
    return text


def plain(cell: str) -> str:
    """Return a cell in half-width characters, without full width 全角, marks and invisible ones.

    A text such as 信访〔2024〕1号 keeps its characters. Raises `CellError` for a word that means no
    value or an error.
    """
    text = clean_line(cell)
    if _PLAIN.fullmatch(text) and text not in _NO_VALUE:
        return text
    text = bare_code(_INVISIBLE.sub("", bare_code(text)).strip())
    folded = unicodedata.normalize("NFKC", text).strip()
    if folded.isascii():
        text = bare_code(folded)
    check_present(text)
    return text


def whole(text: str) -> str:
    """Return a number without grouping and zero fraction; raise `CellError` if it was rounded."""
    is_grouped = _GROUPED.fullmatch(text)
    bare = text.replace(",", "") if is_grouped else text
    match = _WITH_ZERO_FRACTION.fullmatch(bare)
    if not is_grouped and not match:
        return text
    number = match[1] if match else bare
    if len(number.lstrip("+-0")) > EXACT_DIGITS:
        raise CellError(
            f"was a number of more than {EXACT_DIGITS} digits, which programs round: {_AS_TEXT}"
        )
    return number


def check_present(text: str) -> None:
    """Raise `CellError` if a program wrote the text for no value, or a spreadsheet for an error."""
    if text in _NO_VALUE:
        raise CellError("is how a program writes an empty cell: clear the cell")
    check_error(text)


def check_error(text: str) -> None:
    """Raise `CellError` if the text is an error of a spreadsheet."""
    if text[:1] == "#" and text.upper() in _ERRORS:
        raise CellError("is an error of the spreadsheet: correct the cell")


def is_shortened(text: str) -> bool:
    """Return whether the text is a number in powers of ten."""
    if text.isascii() and not (_POWERS & set(text)):
        return False
    return bool(_SHORTENED.fullmatch(unicodedata.normalize("NFKC", text)))


def number_or_none(cell: str) -> str:
    """Return an identity number, a telephone or the like, "" if the cell has none."""
    text = code(cell)
    if text in _NONE:
        return ""
    joined = _BLANKS.sub("", text)
    if not _IDENTITY.fullmatch(joined):
        return text
    if _ROUNDED_IDENTITY.fullmatch(joined) and joined[-1] != _check_digit(joined):
        raise CellError(f"ends in 000 and was rounded by a spreadsheet: {_AS_TEXT}")
    return joined


def _check_digit(number: str) -> str:
    """Return the last digit that the other seventeen require (GB 11643)."""
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return "10X98765432"[total % 11]
