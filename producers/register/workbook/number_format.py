"""Apply the number formats 数字格式 of cells: a person sees 000123 for 123.

Leading zeros, decimals, text around and between digits, and words for numbers are applied. Grouping
and powers of ten are not: they hide digits or add marks that are no part of a number.
"""

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import cached_property
from operator import eq, ge, gt, le, lt, ne
from typing import Final, NamedTuple

# The built-in formats of dates, the Chinese ones included.
_BUILTIN_DATES: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_BUILTIN_CODES: Final = {
    "1": "0",
    "2": "0.00",
    "3": "#,##0",
    "4": "#,##0.00",
    "9": "0%",
    "10": "0.00%",
}
_DATE_CODE: Final = "yyyy-mm-dd"

_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[(?P<bracket>[^\]]*)\]|[_*](?P<skipped>.)'
    r"|(?P<general>General|G/通用格式)|(?P<ampm>AM/PM|A/P|上午/下午)|(?P<power>E[+-])"
    r"|(?P<one>.)",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION: Final = re.compile(r"(<=|>=|<>|=|<|>)\s*(-?\d+(?:\.\d+)?)")
_COMPARISONS: Final = {"=": eq, "<": lt, ">": gt, "<=": le, ">=": ge, "<>": ne}
_ELAPSED: Final = re.compile(r"h+|m+|s+", re.IGNORECASE)
_DATE_LETTERS: Final = frozenset("ymdhsYMDHSbBeEgGaA")
_DIGITS: Final = "0#?"
# A spreadsheet shows fewer decimals; a longer code would only cost time.
_MAX_CODE_CHARACTERS: Final = 255


class _Token(NamedTuple):
    """`kind` is digit, point, literal, percent, general, condition, date, or other."""

    kind: str
    text: str


class NumberFormat:
    """A format code, which is parsed when a number of it is first shown."""

    def __init__(self, code: str) -> None:
        self._code = code[:_MAX_CODE_CHARACTERS]

    @cached_property
    def is_date(self) -> bool:
        """Return whether its numbers are shown as dates or times."""
        return any(token.kind == "date" for section in self._sections for token in section)

    @cached_property
    def _sections(self) -> list[list[_Token]]:
        sections: list[list[_Token]] = [[]]
        for match in _TOKEN.finditer(self._code):
            if match["one"] == ";":
                sections.append([])
            elif token := _token(match):
                sections[-1].append(token)
        return sections

    def shown(self, value: float) -> str:
        """Return the number as a cell shows it; `plain` if the format changes or hides digits."""
        section, is_signed = self._section_for(value)
        kinds = {token.kind for token in section}
        literal = "".join(token.text for token in section if token.kind == "literal")
        if kinds & {"other", "date"}:
            return plain(value)
        if "general" in kinds:
            number = plain(abs(value) if is_signed else value)
            return "".join(_with_general(token, number) for token in section)
        if "digit" in kinds:
            return _filled(section, abs(value) if is_signed else value)
        return literal if any(map(str.isalnum, literal)) else plain(value)

    def _section_for(self, value: float) -> tuple[list[_Token], bool]:
        """Return the part of the code for a number, and whether it writes the sign itself."""
        sections = self._sections[:3]
        conditions = [_condition(section) for section in sections]
        if any(conditions):
            for section, condition in zip(sections, conditions, strict=True):
                if condition is None or _holds(value, condition):
                    return section, False
            return [_Token("other", "")], False
        if value < 0 and len(sections) > 1:
            return sections[1], True
        if value == 0 and len(sections) > 2:
            return sections[2], False
        return sections[0], False


GENERAL: Final = NumberFormat("General")


def builtin_format(number: str) -> NumberFormat:
    """Return the built-in format of a number."""
    if number.isdecimal() and int(number[:6]) in _BUILTIN_DATES:
        return NumberFormat(_DATE_CODE)
    return NumberFormat(_BUILTIN_CODES.get(number, "General"))


def plain(value: float) -> str:
    """Return a number with the 15 digits that a spreadsheet keeps."""
    return str(int(value)) if value.is_integer() else format(value, ".15g")


def _token(match: re.Match[str]) -> _Token | None:
    kind, text = match.lastgroup, match[match.lastgroup or 0]
    if kind in ("quoted", "escaped"):
        return _Token("literal", text)
    if kind == "bracket":
        return _bracket(text)
    if kind == "general":
        return _Token("general", "")
    if kind == "ampm":
        return _Token("date", text)
    if kind == "one":
        return _single(text)
    return None if kind == "skipped" else _Token("other", text)


def _bracket(text: str) -> _Token | None:
    if _ELAPSED.fullmatch(text):
        return _Token("date", text)
    if _CONDITION.fullmatch(text):
        return _Token("condition", text)
    if text.upper().startswith("DBNUM"):
        return _Token("other", text)
    if text.startswith("$") and (symbol := text[1:].partition("-")[0]):
        return _Token("literal", symbol)
    return None  # a colour or a language


def _single(text: str) -> _Token | None:
    if text in _DIGITS:
        return _Token("digit", text)
    if text in _DATE_LETTERS:
        return _Token("date", text)
    if text == "@":
        return _Token("general", "")
    kinds = {".": "point", ",": "comma", "%": "percent", "/": "other"}
    return _Token(kinds.get(text, "literal"), text)


def _condition(section: list[_Token]) -> re.Match[str] | None:
    texts = (token.text for token in section if token.kind == "condition")
    return _CONDITION.fullmatch(next(texts, ""))


def _holds(value: float, condition: re.Match[str]) -> bool:
    return bool(_COMPARISONS[condition[1]](value, float(condition[2])))


def _with_general(token: _Token, number: str) -> str:
    return number if token.kind == "general" else token.text if token.kind == "literal" else ""


def _filled(section: list[_Token], value: float) -> str:
    """Return the digits of a number in their places."""
    kinds = [token.kind for token in section]
    point = kinds.index("point") if "point" in kinds else len(section)
    last_digit = max(place for place, kind in enumerate(kinds) if kind == "digit")
    if "comma" in kinds[last_digit:]:
        return plain(value)  # shown in thousands
    decimals = kinds[point:].count("digit")
    with localcontext(prec=400):
        number = Decimal(repr(value)).scaleb(2 * kinds.count("percent"))
        whole, fraction = _split(number, decimals)
    sign = "-" if value < 0 and (whole.strip("0") or fraction.strip("0")) else ""
    return sign + _whole(section[:point], whole) + _fraction(section[point:], fraction)


def _split(number: Decimal, decimals: int) -> tuple[str, str]:
    rounded = abs(number).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    whole, _, fraction = f"{rounded:f}".partition(".")
    return whole.lstrip("0"), fraction


def _whole(section: list[_Token], digits: str) -> str:
    """Put digits into places from the right; surplus digits go before the first place."""
    parts: list[str] = []
    first = next((n for n, token in enumerate(section) if token.kind == "digit"), -1)
    for place in range(len(section) - 1, -1, -1):
        kind, text = section[place]
        if kind in ("literal", "percent"):
            parts.append(text)
        elif kind == "digit":
            parts.append(digits[-1:] or ("0" if text == "0" else ""))
            digits = digits[:-1]
            if place == first:
                parts.append(digits)
    return "".join(reversed(parts)) if first >= 0 else "".join(reversed(parts)) + digits


def _fraction(section: list[_Token], digits: str) -> str:
    """Put the digits after the point into places, without optional zeros."""
    places = [token.text for token in section if token.kind == "digit"]
    while places and places[-1] != "0" and digits.endswith("0"):
        places.pop()
        digits = digits[:-1]
    after = "".join(token.text for token in section if token.kind in ("literal", "percent"))
    return (f".{digits}" if digits else "") + after
