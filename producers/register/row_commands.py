"""Read the handling 办理 in a row: the commands that follow the registration, in order."""

from typing import Any

from producers.register.case_steps import HANDLING
from producers.register.dates import Instant, not_before
from producers.register.errors import RowError
from producers.register.mapping import Mapping
from producers.register.targets import AT, REGISTERED_AT, FieldKind, parts_of, targets

Fields = dict[str, Any]
Command = tuple[str, int, Fields]


class Handling:
    """A reader of the handling columns of one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._constants = {command: mapping.constants_of(command) for command in HANDLING}
        self._required = {command: _fields_of(command, required=True) for command in HANDLING}
        self._instants = {
            command: _fields_of(command, kind=FieldKind.INSTANT) for command in HANDLING
        }
        self._columns = _handling_columns(mapping)

    def commands(
        self, parts: dict[str, Fields], by_column: Fields, registered_at: int
    ) -> list[Command]:
        """Return the commands of a row whose dates are given, in the order of a case's life.

        `parts` are the fields by command, `by_column` the values by column. Raises `RowError` if a
        cell belongs to a command without a date, a field is missing, or dates go backwards.
        """
        if not any(map(parts.__contains__, HANDLING)):
            return []
        given = self._given(parts)
        self._check_columns(by_column, given)
        self._check_story(given)
        found: list[Command] = []
        before, earlier = "", registered_at
        for command in given:
            fields = self._constants[command] | parts[command]
            at = not_before(fields.pop(AT), earlier)
            if at is None:
                raise self._backwards(command, before, by_column)
            before, earlier = command, at
            self._check_fields(command, fields)
            self._to_micros(command, fields, at)
            found.append((command, at, fields))
        return found

    def _given(self, parts: dict[str, Fields]) -> list[str]:
        """Return the commands with a date; an implied one only if there is a later one."""
        given = [command for command in HANDLING if AT in parts.get(command, ())]
        while given and given[-1] in self._mapping.implied:
            given.pop()
        return given

    def _check_columns(self, by_column: Fields, given: list[str]) -> None:
        for column, commands in self._columns.items():
            if column in by_column and not any(command in given for command in commands):
                date = self._column(commands[0], AT)
                raise RowError(f"column {column} is filled but {date} is empty: fill it in")

    def _check_story(self, given: list[str]) -> None:
        for command in given:
            after, without = HANDLING[command].after, HANDLING[command].without
            if after and not any(one in given for one in after):
                lacks = " or ".join(self._column(one, AT) for one in after)
                has = self._column(command, AT)
                raise RowError(f"column {has} is filled but {lacks} is empty: fill it in")
            for other in without:
                if other in given:
                    both = f"{self._column(command, AT)} and {self._column(other, AT)}"
                    raise RowError(f"columns {both} are both filled: clear one of them")

    def _check_fields(self, command: str, fields: Fields) -> None:
        for field in self._required[command]:
            if field not in fields:
                has, lacks = self._column(command, AT), self._column(command, field)
                raise RowError(f"column {has} is filled but {lacks} is empty: fill it in")

    def _to_micros(self, command: str, fields: Fields, at: int) -> None:
        """Convert the other dates of a command; one on the same day becomes the command's time."""
        for field in self._instants[command]:
            instant: Instant | None = fields.get(field)
            if instant is not None:
                later = not_before(instant, at)
                fields[field] = instant.at if later is None else later

    def _backwards(self, command: str, before: str, by_column: Fields) -> RowError:
        other = self._column(before, AT) if before else self._mapping.column_of(REGISTERED_AT)
        if other not in by_column:
            other = self._mapping.column_of("received_at")
        column = self._column(command, AT)
        return RowError(f"column {column} lies before {other}: correct one of them")

    def _column(self, command: str, field: str) -> str:
        return self._mapping.column_of(f"{command}.{field}")


def _fields_of(command: str, *, required: bool = False, kind: FieldKind | None = None) -> list[str]:
    """Return the fields of a command except its time, required ones or those of one kind."""
    parts = ((*parts_of(name), target) for name, target in targets().items())
    return [
        field
        for part, field, target in parts
        if part == command
        and field != AT
        and (target.required or not required)
        and kind in (None, target.kind)
    ]


def _handling_columns(mapping: Mapping) -> dict[str, list[str]]:
    """Return the commands that a column fills, for each column that fills nothing else."""
    found = {}
    for column, filled in mapping.columns.items():
        parts = [parts_of(target.name)[0] for target in filled]
        if all(part in HANDLING for part in parts):
            found[column] = parts
    return found
