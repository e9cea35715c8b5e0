"""Write a case as a row of a register, the inverse of `row_reader`, and check it by reading."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from cases.vocabulary import event_types as types
from producers.register.case_steps import HANDLING
from producers.register.cell_format import Cell, cell_maker
from producers.register.mapping import Mapping
from producers.register.records import CASE_ID, HANDLER, STATE, Registration
from producers.register.row_reader import RowReader
from producers.register.source import RawRow
from producers.register.targets import AT, PETITIONER, REGISTERED, REGISTERED_AT, parts_of
from schemas.catalogue import catalogue

Fields = dict[str, Any]

_SHOWN: Final = (CASE_ID, STATE, HANDLER)


@dataclass(slots=True)
class Told:
    """The values of a case for a row. Instants are micros.

    `registered` and the fields of each step of `handling` are bodies of events without computed
    fields; `petitioner` has the filled fields. `more` is set if the case has a history that no row
    can hold, or that others than the registering office made.
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
    """Writes cases as rows of one mapping. `now` (micros) bounds dates, as for readers."""

    def __init__(self, mapping: Mapping, now: int) -> None:
        self._shown = [name for name in _SHOWN if name in mapping.ignored]
        self._slots = [*_slots(mapping)]
        self.columns = [*self._shown, *(slot.name for slot in self._slots)]
        self._reader = RowReader(mapping, self.columns, now)
        by_type = catalogue().by_type
        self._defaults = {
            name: by_type[one.event_type].defaults() for name, one in HANDLING.items()
        }
        self._defaults[REGISTERED] = by_type[types.REGISTERED].defaults()

    def row(self, told: Told) -> list[Cell]:
        """Return the cells of a case, in the order of `columns`."""
        parts = {name: {AT: at, **fields} for name, at, fields in told.handling}
        parts[REGISTERED] = {**told.registered, REGISTERED_AT: told.registered_at}
        parts[PETITIONER] = told.petitioner
        shown = {CASE_ID: told.case_id, STATE: told.state, HANDLER: told.handler}
        return [*(shown[name] for name in self._shown), *(_cell(one, parts) for one in self._slots)]

    def tells_all(self, told: Told, cells: list[Cell]) -> bool:
        """Return whether reading these cells gives exactly the case."""
        if told.more:
            return False
        read = self._reader.read(RawRow(1, 1, [str(cell) for cell in cells]))
        return (
            isinstance(read, Registration)
            and read.registered_at == told.registered_at
            and (read.petitioner or {}) == told.petitioner
            and self._equal(REGISTERED, read.registered, told.registered)
            and len(read.handling) == len(told.handling)
            and all(
                step[:2] == other[:2] and self._equal(step[0], step[2], other[2])
                for step, other in zip(read.handling, told.handling, strict=True)
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
    """Return the cell of the first of the column's fields that is filled."""
    for part, name in slot.fills:
        value = parts.get(part, {}).get(name)
        if value is not None and value != "":
            return slot.make(value)
    return ""
