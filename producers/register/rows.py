"""From a raw row to a registration: convert each cell, then check what the cells say together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from producers.register.errors import CellError, RowError
from producers.register.handling import Handling
from producers.register.instants import Instant, not_before
from producers.register.mapping import Mapping
from producers.register.records import LINE, REASON, REST, ROW, Registration, Rejected
from producers.register.source import RawRow
from producers.register.targets import HANDLING, PETITIONER, REGISTERED_AT, required_targets
from producers.register.text import quoted
from producers.register.values import Converter, converter

_OWN_COLUMNS: Final = frozenset((ROW, LINE, REASON))

Values = dict[str, Any]


class Slot(NamedTuple):
    """A column of this file that is mapped: where it stands, and what becomes of a cell."""

    place: int
    column: str
    targets: tuple[str, ...]
    convert: Converter
    is_personal: bool


class RowReader:
    """Turns the rows of one file into registrations. `now` (micros) bounds its dates."""

    def __init__(self, mapping: Mapping, columns: list[str], now: int) -> None:
        self._mapping = mapping
        self._columns = columns
        self._slots = [*_slots(mapping, columns, now)]
        self._unmapped = [i for i, column in enumerate(columns) if not column]
        self._rest = columns.index(REST) if REST in columns else None
        self._required = [(name, mapping.column_of(name)) for name in required_targets()]
        self._constants = {
            name: value
            for name, value in mapping.constants.items()
            if not name.startswith((PETITIONER, *_COMMANDS))
        }
        self._personal_constants = {
            name.removeprefix(PETITIONER): value
            for name, value in mapping.constants.items()
            if name.startswith(PETITIONER)
        }
        self._handling = Handling(mapping)

    def read(self, raw: RawRow) -> Registration | Rejected:
        """The registration that the row is, or why it is none."""
        if raw.problem:
            return self._rejected(raw, raw.problem)
        try:
            return self._registration(raw)
        except RowError as error:
            return self._rejected(raw, str(error))

    def _registration(self, raw: RawRow) -> Registration:
        by_column = self._convert(raw.cells)
        values: Values = dict(self._constants)
        for slot in self._slots:
            if slot.column in by_column:
                values.update(dict.fromkeys(slot.targets, by_column[slot.column]))
        for name, column in self._required:
            if name not in values:
                raise RowError(f"column {column} is empty: fill it in")
        received: Instant = values["received_at"]
        registered_at = self._registered_at(values, received)
        registered = {
            name: value.at if isinstance(value, Instant) else value
            for name, value in values.items()
            if "." not in name and name != REGISTERED_AT
        }
        return Registration(
            row=raw.row,
            line=raw.line,
            source=self._mapping.source,
            origin_number=values["origin_number"],
            registered=registered,
            received_at=received.at,
            registered_at=registered_at,
            petitioner=self._petitioner(values),
            handling=self._handling.commands(values, by_column, registered_at),
            content_digest=_digest(by_column),
        )

    def _convert(self, cells: list[str]) -> Values:
        """The value of each filled column that is mapped."""
        by_column: Values = {}
        for slot in self._slots:
            cell = cells[slot.place]
            if not cell:
                continue
            try:
                value = slot.convert(cell)
            except CellError as error:
                told = "the value" if slot.is_personal else quoted(cell.strip())
                raise RowError(f"column {slot.column}: {told} {error}") from None
            if value is not None:
                by_column[slot.column] = value
        for index in self._unmapped:
            if cells[index].strip():
                raise RowError(f"cell {index + 1} stands under no header: give it one or remove it")
        if self._rest is not None and cells[self._rest].strip():
            raise RowError(f"column {REST} is not empty: move its content to where it belongs")
        return by_column

    def _registered_at(self, values: Values, received: Instant) -> int:
        given: Instant = values.get(REGISTERED_AT, received)
        at = not_before(given, received.at)
        if at is None:
            first, second = map(self._mapping.column_of, ("received_at", REGISTERED_AT))
            raise RowError(f"column {second} lies before {first}: correct one of them")
        return at

    def _petitioner(self, values: Values) -> dict[str, str] | None:
        found = {
            name.removeprefix(PETITIONER): value
            for name, value in values.items()
            if name.startswith(PETITIONER)
        }
        if not found:
            return None
        for name, value in self._personal_constants.items():
            # A type alone says nothing, so a constant one only completes a number.
            if name != "id_type" or "id_number" in found:
                found.setdefault(name, value)
        return found

    def _rejected(self, raw: RawRow, reason: str) -> Rejected:
        cells = {
            column: cell
            for column, cell in zip(self._columns, raw.cells, strict=True)
            if column and column not in _OWN_COLUMNS
        }
        if raw.rest:
            cells[REST] = raw.rest
        return Rejected(raw.row, raw.line, reason, cells)


_COMMANDS: Final = tuple(f"{command}." for command in HANDLING)


def _slots(mapping: Mapping, columns: list[str], now: int) -> Iterator[Slot]:
    for index, column in enumerate(columns):
        filled = mapping.columns.get(column)
        if filled is None:
            continue
        words: Values = {}
        for target in filled:
            words.update(mapping.values.get(target.name, {}))
        names = tuple(target.name for target in filled)
        is_personal = any(name.startswith(PETITIONER) for name in names)
        yield Slot(index, column, names, converter(filled, words, now), is_personal)


def _digest(by_column: Values) -> str:
    """SHA-256 of the converted cells by column, so that neither format nor dialect matters."""
    content = orjson.dumps(by_column, default=_plain, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()


def _plain(instant: Instant) -> int:
    return instant.at
