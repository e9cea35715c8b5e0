"""The handling 办理 that a row tells: the commands that follow the registration, in order."""

from __future__ import annotations

from typing import Any, Final

from producers.register.errors import RowError
from producers.register.instants import Instant, not_before
from producers.register.mapping import Mapping
from producers.register.targets import HANDLING, REGISTERED_AT, targets

Values = dict[str, Any]
Command = tuple[str, int, dict[str, Any]]

_AT: Final = "at"


class Handling:
    """Reads the handling columns of one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._constants = {command: _constants(mapping, command) for command in HANDLING}
        self._required = {command: _required(command) for command in HANDLING}
        # Column → the commands that it fills, for columns that fill nothing else.
        self._columns = {
            column: {target.name.partition(".")[0] for target in filled}
            for column, filled in mapping.columns.items()
            if all(target.name.partition(".")[0] in HANDLING for target in filled)
        }

    def commands(self, values: Values, by_column: Values, registered_at: int) -> list[Command]:
        """The commands of a row whose dates are given, in the order of a case's life.

        `values` are by target, `by_column` by column. `RowError` if a cell belongs to a command
        without a date, a command misses something, or the dates go backwards.
        """
        given = [command for command in HANDLING if f"{command}.{_AT}" in values]
        self._check_columns(by_column, given)
        self._check_order(given)
        found: list[Command] = []
        before, earlier = self._first_column(), registered_at
        for command in given:
            earlier = self._instant(command, values, before, earlier)
            before = self._column(command, _AT)
            found.append((command, earlier, self._fields(command, values)))
        return found

    def _check_columns(self, by_column: Values, given: list[str]) -> None:
        for column in by_column:
            commands = self._columns.get(column)
            if commands and commands.isdisjoint(given):
                command = min(commands, key=list(HANDLING).index)
                date = self._column(command, _AT)
                raise RowError(f"column {column} is filled but {date} is empty: fill it in")

    def _check_order(self, given: list[str]) -> None:
        for command, expected in zip(given, HANDLING, strict=False):
            if command != expected:
                has, lacks = self._column(command, _AT), self._column(expected, _AT)
                raise RowError(f"column {has} is filled but {lacks} is empty: fill it in")

    def _instant(self, command: str, values: Values, before: str, earlier: int) -> int:
        given: Instant = values[f"{command}.{_AT}"]
        at = not_before(given, earlier)
        if at is None:
            column = self._column(command, _AT)
            raise RowError(f"column {column} lies before {before}: correct one of them")
        return at

    def _fields(self, command: str, values: Values) -> dict[str, Any]:
        fields = dict(self._constants[command])
        prefix = f"{command}."
        for name, value in values.items():
            if name.startswith(prefix):
                fields[name.removeprefix(prefix)] = value
        del fields[_AT]
        for field in self._required[command]:
            if field not in fields:
                has, lacks = self._column(command, _AT), self._column(command, field)
                raise RowError(f"column {has} is filled but {lacks} is empty: fill it in")
        return fields

    def _first_column(self) -> str:
        column = self._mapping.column_of(REGISTERED_AT)
        return self._mapping.column_of("received_at") if column == REGISTERED_AT else column

    def _column(self, command: str, field: str) -> str:
        return self._mapping.column_of(f"{command}.{field}")


def _constants(mapping: Mapping, command: str) -> dict[str, Any]:
    prefix = f"{command}."
    return {
        name.removeprefix(prefix): value
        for name, value in mapping.constants.items()
        if name.startswith(prefix)
    }


def _required(command: str) -> list[str]:
    prefix = f"{command}."
    return [
        name.removeprefix(prefix)
        for name, target in targets().items()
        if name.startswith(prefix) and target.required and name != prefix + _AT
    ]
