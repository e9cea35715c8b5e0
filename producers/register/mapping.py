"""A mapping 映射 of the columns of a register to fields, read from TOML by `mapping_file`."""

import re
import unicodedata
from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from producers.register.clean_text import clean_line
from producers.register.records import REJECT_COLUMNS
from producers.register.targets import Target, parts_of, required_targets

# Blanks, line breaks and invisible characters in headers are layout; an asterisk, a colon or 必填
# is a hint for the person who fills the table in.
_INVISIBLE: Final = re.compile("[\\s\u00ad\u200b-\u200f\u2060\ufeff]+")
_HINTS: Final = re.compile("^[*:;.]+|(?:[*:;.]|[(\\[](?:必填|选填|必填项|选填项)[)\\]])+$")

ANY_COLUMN: Final = "*"


@dataclass(frozen=True)
class Mapping:
    """A checked mapping; make one with `load_mapping`.

    `columns` has the targets of each column, `constants` the converted value by target, `values`
    the codes by target and word. `implied` commands count only if the row has a later one. With
    `formula_guard`, CSV marks texts that a spreadsheet would take for a formula.
    """

    name: str
    title: str
    source: str
    columns: Table[str, tuple[Target, ...]]
    constants: Table[str, Any] = field(default_factory=dict)
    values: Table[str, Table[str, Any]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    implied: frozenset[str] = frozenset()
    formula_guard: bool = False

    @property
    def required_columns(self) -> list[str]:
        """Return the columns that a file must have, in the order of the mapping."""
        must = set(required_targets()) - set(self.constants)
        return [
            column
            for column, filled in self.columns.items()
            if column in self.required or any(target.name in must for target in filled)
        ]

    def named(self, header: str) -> str:
        """Return the column that a header cell means, or the cleaned cell if it is unknown.

        `信访\\n日期`, `姓  名` and `标题*：` are 信访日期, 姓名 and 标题.
        """
        name = clean_line(header)
        if name in self.columns or name in self.ignored:
            return name
        return self._by_key.get(header_key(name), name)

    @cached_property
    def _by_key(self) -> dict[str, str]:
        names = (*REJECT_COLUMNS, *self.ignored, *self.columns)
        return {key: name for name in names if (key := header_key(name))}

    def passes_over(self, column: str) -> bool:
        """Return whether a column may be there without being mapped."""
        return column in self.ignored or ANY_COLUMN in self.ignored or column in REJECT_COLUMNS

    def constants_of(self, part: str) -> dict[str, Any]:
        """Return the constants of one part of a row, by field."""
        named = ((*parts_of(name), value) for name, value in self.constants.items())
        return {field: value for owner, field, value in named if owner == part}

    def column_of(self, target: str) -> str:
        """Return the column that fills a target, for messages; the target itself if none does."""
        columns = self.columns.items()
        return next(
            (name for name, filled in columns if target in {t.name for t in filled}), target
        )


def header_key(name: str) -> str:
    """Return the header without layout and hints, which do not distinguish headers."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", name))
    return _HINTS.sub("", text).casefold()


def same_headers(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that are the same header, or None."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(header_key(name), name)
        if other != name:
            return other, name
    return None
