"""Find merged cells 合并单元格, of which all but the first are empty in the file.

They are listed after the rows, so the part is read once for them alone. A search in its bytes is
much faster than parsing its elements.
"""

import re
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from producers.register.workbook.sheet import MAX_COLUMNS, column_of
from producers.register.workbook.xml import NoXml

_WORD: Final = b"mergeCell "
_FOUND: Final = re.compile(
    rb"""<(?:\w{1,20}:)?mergeCell\s[^<>]{0,100}?ref=["']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})["']"""
)
_OVERLAP_BYTES: Final = 256
_MAX_AREAS: Final = 200_000


class Area(NamedTuple):
    """A range of cells that show one value; rows and columns from 1, both ends included."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int


def merged_areas(chunks: Iterable[bytes]) -> list[Area]:
    """Return the merged cells of a sheet, sorted by their first rows."""
    found: list[Area] = []
    before = b""
    for chunk in chunks:
        text = before + chunk
        done = 0
        if _WORD in text:
            for match in _FOUND.finditer(text):
                found.append(_area(match))
                done = match.end()
            if len(found) > _MAX_AREAS:
                raise NoXml(f"more than {_MAX_AREAS:,} merged cells")
        before = text[max(done, len(text) - _OVERLAP_BYTES) :]
    return sorted(found)


def _area(match: re.Match[bytes]) -> Area:
    first, last = column_of(f"{match[1].decode()}1"), column_of(f"{match[3].decode()}1")
    return Area(int(match[2]), int(match[4]), first, last)


class Covered:
    """The columns of each row, in order, that show the value of another cell."""

    def __init__(self, areas: Iterable[Area]) -> None:
        self._ahead = deque(areas)
        self._here: list[Area] = []

    def columns(self, row: int) -> dict[int, Area]:
        """Return the covered columns of this row; rows must be asked for in ascending order."""
        if not self._ahead and not self._here:
            return {}
        self._here = [area for area in self._here if area.last_row >= row]
        while self._ahead and self._ahead[0].first_row <= row:
            area = self._ahead.popleft()
            if area.last_row >= row:
                self._here.append(area)
        if sum(area.last_column - area.first_column + 1 for area in self._here) > MAX_COLUMNS:
            raise NoXml("merged cells that overlap")
        return {
            column: area
            for area in self._here
            for column in range(area.first_column, area.last_column + 1)
            if (row, column) != (area.first_row, area.first_column)
        }
