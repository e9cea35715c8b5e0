"""A mapping 映射: which column of a register fills which field.

It is read from a small TOML file (`mapping_file`).
"""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import Any, Final

from producers.register.records import REJECT_COLUMNS
from producers.register.targets import Target, parts_of, required_targets

ANY_COLUMN: Final = "*"


@dataclass(frozen=True)
class Mapping:
    """A checked mapping; make one with `load_mapping`.

    `columns` gives the targets of each column, `constants` the converted value by target,
    `values` the codes by target and word. `implied` commands count only before one that is told.
    `formula_guard`: in CSV a mark stands before what a spreadsheet would take for a formula.
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
        """The columns that a file must have, in the order of the mapping."""
        must = set(required_targets()) - set(self.constants)
        return [
            column
            for column, filled in self.columns.items()
            if column in self.required or any(target.name in must for target in filled)
        ]

    def passes_over(self, column: str) -> bool:
        """Whether a column may be there without being mapped."""
        return column in self.ignored or ANY_COLUMN in self.ignored or column in REJECT_COLUMNS

    def constants_of(self, part: str) -> dict[str, Any]:
        """The constants of one part of a row, by field."""
        named = ((*parts_of(name), value) for name, value in self.constants.items())
        return {field: value for owner, field, value in named if owner == part}

    def column_of(self, target: str) -> str:
        """The column that fills a target, for messages; the target itself if none does."""
        for column, filled in self.columns.items():
            if any(one.name == target for one in filled):
                return column
        return target
