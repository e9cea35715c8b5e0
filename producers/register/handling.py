"""The handling 办理 that a row tells: the commands that follow the registration, in order."""

from __future__ import annotations

from typing import Any

from producers.register.errors import RowError
from producers.register.instants import not_before
from producers.register.mapping import Mapping
from producers.register.targets import AT, HANDLING, REGISTERED_AT, parts_of, targets

Fields = dict[str, Any]
Command = tuple[str, int, Fields]


class Handling:
    """Reads the handling columns of one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._constants = {command: mapping.constants_of(command) for command in HANDLING}
        self._required = {command: _required(command) for command in HANDLING}
        self._columns = _handling_columns(mapping)

    def commands(
        self, parts: dict[str, Fields], by_column: Fields, registered_at: int
    ) -> list[Command]:
        """The commands of a row whose dates are given, in the order of a case's life.

        `parts` are the fields by command, `by_column` the values by column. `RowError` if a cell
        belongs to a command without a date, a command misses something, or dates go backwards.
        """
        if not any(parts[command] for command in HANDLING):
            return []
        given = [command for command in HANDLING if AT in parts[command]]
        self._check_columns(by_column, given)
        self._check_order(given)
        found: list[Command] = []
        before, earlier = "", registered_at
        for command in given:
            fields = self._constants[command] | parts[command]
            at = not_before(fields.pop(AT), earlier)
            if at is None:
                raise self._backwards(command, before, by_column)
            before, earlier = command, at
            self._check_fields(command, fields)
            found.append((command, earlier, fields))
        return found

    def _check_columns(self, by_column: Fields, given: list[str]) -> None:
        for column, commands in self._columns.items():
            if column in by_column and not any(command in given for command in commands):
                date = self._column(commands[0], AT)
                raise RowError(f"column {column} is filled but {date} is empty: fill it in")

    def _check_order(self, given: list[str]) -> None:
        for command, expected in zip(given, HANDLING, strict=False):
            if command != expected:
                has, lacks = self._column(command, AT), self._column(expected, AT)
                raise RowError(f"column {has} is filled but {lacks} is empty: fill it in")

    def _check_fields(self, command: str, fields: Fields) -> None:
        for field in self._required[command]:
            if field not in fields:
                has, lacks = self._column(command, AT), self._column(command, field)
                raise RowError(f"column {has} is filled but {lacks} is empty: fill it in")

    def _backwards(self, command: str, before: str, by_column: Fields) -> RowError:
        other = self._column(before, AT) if before else self._mapping.column_of(REGISTERED_AT)
        if other not in by_column:
            other = self._mapping.column_of("received_at")
        column = self._column(command, AT)
        return RowError(f"column {column} lies before {other}: correct one of them")

    def _column(self, command: str, field: str) -> str:
        return self._mapping.column_of(f"{command}.{field}")


def _required(command: str) -> list[str]:
    names = (name for name, target in targets().items() if target.required)
    return [field for part, field in map(parts_of, names) if part == command and field != AT]


def _handling_columns(mapping: Mapping) -> dict[str, list[str]]:
    """The commands that a column fills, for each column that fills nothing else."""
    found = {}
    for column, filled in mapping.columns.items():
        parts = [parts_of(target.name)[0] for target in filled]
        if all(part in HANDLING for part in parts):
            found[column] = parts
    return found
