"""Make registrations of raw rows: convert each cell, then check the cells together."""

import hashlib
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Final, NamedTuple

import orjson

from producers.register.cell_values import Converter, converter
from producers.register.clean_text import quoted
from producers.register.dates import Instant, not_before
from producers.register.errors import CellError, RowError
from producers.register.mapping import Mapping
from producers.register.records import CASE_ID, LINE, REASON, REST, ROW, Registration, Rejected
from producers.register.row_commands import Handling
from producers.register.source import RawRow
from producers.register.targets import (
    PETITIONER,
    REGISTERED,
    REGISTERED_AT,
    parts_of,
    required_targets,
)
from schemas.limits import is_storable

# Columns that do not describe the case: those of an earlier reject file, those without a header.
_OWN_COLUMNS: Final = (ROW, LINE, REASON, "")

Fields = dict[str, Any]


class Slot(NamedTuple):
    """A mapped column of this file: its place, and how a cell is converted.

    `fills` are the fields, each with its part: registered, petitioner, or a handling command.
    """

    place: int
    column: str
    fills: tuple[tuple[str, str], ...]
    convert: Converter


class RowReader:
    """Makes registrations of the rows of one file. `now` (micros) bounds its dates."""

    def __init__(self, mapping: Mapping, columns: list[str], now: int) -> None:
        self._mapping = mapping
        self._columns = columns
        self._slots = [*_slots(mapping, columns, now)]
        self._nameless = [place for place, column in enumerate(columns) if not column]
        self._own_columns = [column for column in _OWN_COLUMNS if column in columns]
        self._rest = columns.index(REST) if REST in columns else None
        exported = CASE_ID in columns and CASE_ID in mapping.ignored
        self._exported = columns.index(CASE_ID) if exported else None
        self._required = [(name, mapping.column_of(name)) for name in required_targets()]
        self._constants = mapping.constants_of(REGISTERED)
        self._personal_constants = mapping.constants_of(PETITIONER)
        self._handling = Handling(mapping)

    def read(self, raw: RawRow) -> Registration | Rejected:
        """Return the registration of the row, or the reason why there is none."""
        if raw.problem:
            return self._rejected(raw, raw.problem)
        try:
            return self._registration(raw)
        except RowError as error:
            return self._rejected(raw, str(error))

    def _registration(self, raw: RawRow) -> Registration:
        self._check_cells(raw.cells)
        by_column, parts = self._convert(raw.cells)
        registered = self._constants | parts[REGISTERED]
        for name, column in self._required:
            if name not in registered:
                raise RowError(f"column {column} is empty: fill it in")
        received: Instant = registered["received_at"]
        registered["received_at"] = received.at
        registered_at = self._registered_at(registered.pop(REGISTERED_AT, received), received)
        return Registration(
            row=raw.row,
            line=raw.line,
            source=self._mapping.source,
            origin_number=registered["origin_number"],
            registered=registered,
            received_at=received.at,
            registered_at=registered_at,
            petitioner=self._petitioner(parts.get(PETITIONER, {})),
            handling=self._handling.commands(parts, by_column, registered_at),
            content_digest=_digest(by_column),
            cells=self._original(raw),
            exported_case="" if self._exported is None else raw.cells[self._exported].strip(),
        )

    def _convert(self, cells: list[str]) -> tuple[Fields, dict[str, Fields]]:
        """Return the values of the filled mapped columns, by column and by part and field."""
        by_column: Fields = {}
        parts: dict[str, Fields] = {REGISTERED: {}}
        for place, column, fills, convert in self._slots:
            cell = cells[place]
            if not cell:
                continue
            try:
                value = convert(cell)
            except CellError as error:
                raise RowError(f"column {column}: {_shown(cell, fills)} {error}") from None
            if value is not None:
                by_column[column] = value
                for part, field in fills:
                    if part in parts:
                        parts[part][field] = value
                    else:
                        parts[part] = {field: value}
        return by_column, parts

    def _check_cells(self, cells: list[str]) -> None:
        if not is_storable("".join(cells)):  # one check per row is cheaper than one per cell
            for slot in self._slots:
                if not is_storable(cells[slot.place]):
                    raise RowError(
                        f"column {slot.column} has a NUL or half of a surrogate pair: "
                        "remove that character"
                    )
        for place in self._nameless:
            if cells[place].strip():
                raise RowError(f"cell {place + 1} stands under no header: give it one or remove it")
        if self._rest is not None and cells[self._rest].strip():
            raise RowError(f"column {REST} is not empty: move its content to where it belongs")

    def _registered_at(self, given: Instant, received: Instant) -> int:
        at = not_before(given, received.at)
        if at is None:
            first, second = map(self._mapping.column_of, ("received_at", REGISTERED_AT))
            raise RowError(f"column {second} lies before {first}: correct one of them")
        return at

    def _petitioner(self, found: dict[str, str]) -> dict[str, str] | None:
        if not found:
            return None
        for name, value in self._personal_constants.items():
            # A type alone means nothing, so a constant one only completes a number.
            if name != "id_type" or "id_number" in found:
                found.setdefault(name, value)
        return found

    def _original(self, raw: RawRow) -> dict[str, str]:
        """Return the unchanged cells by column."""
        cells = dict(zip(self._columns, raw.cells, strict=True))
        for column in self._own_columns:
            del cells[column]
        if raw.rest:
            cells[REST] = raw.rest
        return cells

    def _rejected(self, raw: RawRow, reason: str) -> Rejected:
        return Rejected(raw.row, raw.line, reason, self._original(raw))


def _slots(mapping: Mapping, columns: list[str], now: int) -> Iterator[Slot]:
    for place, column in enumerate(columns):
        filled = mapping.columns.get(column)
        if filled is None:
            continue
        words: Fields = {}
        for target in filled:
            words.update(target.words)
            words.update(mapping.values.get(target.name, {}))
        fills = tuple(parts_of(target.name) for target in filled)
        yield Slot(place, column, fills, converter(filled, words, now))


def _shown(cell: str, fills: tuple[tuple[str, str], ...]) -> str:
    """Return the value for a reason, unless it identifies the petitioner."""
    is_personal = any(part == PETITIONER for part, _ in fills)
    return "the value" if is_personal else quoted(cell.strip())


def _digest(by_column: Fields) -> str:
    """Return the SHA-256 of the converted cells, which no format or dialect changes."""
    content = orjson.dumps(by_column, default=attrgetter("at"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()
