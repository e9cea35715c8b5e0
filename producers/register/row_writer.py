"""From a case to a row of a register: the inverse of `rows`, checked by reading it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from producers.register.case_steps import HANDLING
from producers.register.cell_format import Cell, cell_maker
from producers.register.mapping import Mapping
from producers.register.records import CASE_ID, HANDLER, STATE, Registration
from producers.register.row_reader import RowReader
from producers.register.source import RawRow
from producers.register.targets import AT, PETITIONER, REGISTERED, REGISTERED_AT, parts_of
from schemas.catalogue import catalogue

Fields = dict[str, Any]

_REGISTERED_TYPE: Final = "petition.case.registered.v1"
_SHOWN: Final = (CASE_ID, STATE, HANDLER)


@dataclass(slots=True)
class Told:
    """What a row tells of a case. Instants are micros.

    `registered` and the fields of each step of `handling` are bodies of events without what the
    node fills in; `petitioner` has the filled fields. `more`: the case has a history that no row
    can tell, or that others than the registering office made.
    """

    case_id: str
    state: str
    handler: str
    registered: Fields
    registered_at: int
    handling: list[tuple[str, int, Fields]]
    petitioner: dict[str, str] = field(default_factory=dict)
    more: bool = False


class _Column(NamedTuple):
    name: str
    fills: tuple[tuple[str, str], ...]
    make: Callable[[Any], Cell]


class RowWriter:
    """Writes cases as rows of one mapping. `now` (micros) bounds dates, as it does for readers."""

    def __init__(self, mapping: Mapping, now: int) -> None:
        self._shown = [name for name in _SHOWN if name in mapping.ignored]
        self._slots = [*_slots(mapping)]
        self.columns = [*self._shown, *(slot.name for slot in self._slots)]
        self._reader = RowReader(mapping, self.columns, now)
        by_type = catalogue().by_type
        self._defaults = {
            name: by_type[one.event_type].defaults() for name, one in HANDLING.items()
        }
        self._defaults[REGISTERED] = by_type[_REGISTERED_TYPE].defaults()

    def row(self, told: Told) -> list[Cell]:
        """The cells of a case, in the order of `columns`."""
        parts = {name: {AT: at, **fields} for name, at, fields in told.handling}
        parts[REGISTERED] = {**told.registered, REGISTERED_AT: told.registered_at}
        parts[PETITIONER] = told.petitioner
        shown = {CASE_ID: told.case_id, STATE: told.state, HANDLER: told.handler}
        return [*(shown[name] for name in self._shown), *(_cell(one, parts) for one in self._slots)]

    def tells_all(self, told: Told, cells: list[Cell]) -> bool:
        """Whether reading these cells gives exactly the case that they tell."""
        if told.more:
            return False
        read = self._reader.read(RawRow(1, 1, [str(cell) for cell in cells]))
        return (
            isinstance(read, Registration)
            and read.registered_at == told.registered_at
            and (read.petitioner or {}) == told.petitioner
            and self._equal(REGISTERED, read.registered, told.registered)
            and [one[:2] for one in read.handling] == [one[:2] for one in told.handling]
            and all(
                self._equal(name, found, fields)
                for (name, _, found), (_, _, fields) in zip(
                    read.handling, told.handling, strict=True
                )
            )
        )

    def _equal(self, part: str, found: Fields, told: Fields) -> bool:
        return {**self._defaults[part], **found} == {**self._defaults[part], **told}


def _slots(mapping: Mapping) -> Iterator[_Column]:
    for name, filled in mapping.columns.items():
        words: Fields = {}
        for target in filled:
            words.update(mapping.values.get(target.name, {}))
        fills = tuple(parts_of(target.name) for target in filled)
        yield _Column(name, fills, cell_maker(filled[0], words))


def _cell(slot: _Column, parts: dict[str, Fields]) -> Cell:
    """The cell of the first of the column's fields that is there and filled."""
    for part, name in slot.fills:
        value = parts.get(part, {}).get(name)
        if value is not None and value != "":
            return slot.make(value)
    return ""
