"""Cases with their events for an export 导出, streamed to keep memory constant."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from node.postgres.connection import Connection
from node.postgres.statements import read_value
from schemas.instants import CHINA

_BATCH_ROWS = 500

_SELECTED = """
    from petition_case c where c.registered_by is not null
    and (%(first)s is null or c.registered_at >= %(first)s)
    and (%(end)s is null or c.registered_at < %(end)s)
    and (%(states)s is null or c.state = any(%(states)s))
    and (%(registered_by)s is null or c.registered_by = any(%(registered_by)s))
    and (%(handled_by)s is null or c.handled_by = any(%(handled_by)s))
"""
_COUNT = "select count(*)" + _SELECTED
_CASES = f"""
    select c.case_id, c.state, c.handled_by, c.registered_by, c.fold -> 'conflicts', (
        select json_agg(json_build_array(
            e.event_id, e.event_type, e.emitter,
            (extract(epoch from e.occurred_at) * 1000000)::bigint, e.body - 'clocks'
        ) order by e.version, e.emitter, e.event_id)::text
        from case_event e where e.case_id = c.case_id)
    {_SELECTED} order by c.registered_at, c.case_id
"""


@dataclass(frozen=True)
class CaseSelection:
    """A choice of cases: registered from `first` to `last` (China days, inclusive); None is any."""

    first: date | None = None
    last: date | None = None
    states: tuple[str, ...] | None = None
    registered_by: tuple[str, ...] | None = None
    handled_by: tuple[str, ...] | None = None

    def shown(self) -> dict[str, Any]:
        """Return the conditions that were given, as JSON values."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return {
            name: value.isoformat() if isinstance(value, date) else [*value]
            for name, value in given.items()
        }


class Exported(NamedTuple):
    """A case and its events that took effect, in fold order: (type, emitter, micros, body)."""

    case_id: str
    state: str
    handled_by: str | None
    registered_by: str
    events: list[tuple[str, str, int, dict[str, Any]]]


def count_cases(connection: Connection, selection: CaseSelection) -> int:
    """Count the selected cases."""
    with connection, connection.cursor() as cursor:
        return int(read_value(cursor, _COUNT, _values(selection)))


def read_cases(connection: Connection, selection: CaseSelection) -> Iterator[Exported]:
    """Yield the selected cases of one snapshot, by the time of their registration."""
    with connection, connection.cursor("export") as cursor:
        cursor.itersize = _BATCH_ROWS
        cursor.execute(_CASES, _values(selection))
        for case_id, state, handled_by, registered_by, conflicts, events in cursor:
            without_effect = {conflict[0] for conflict in conflicts or ()}
            legal = [
                (event_type, emitter, at, body)
                for event_id, event_type, emitter, at, body in orjson.loads(events)
                if event_id not in without_effect
            ]
            yield Exported(case_id, state, handled_by, registered_by, legal)


def _values(selection: CaseSelection) -> dict[str, Any]:
    end = None if selection.last is None else selection.last + timedelta(days=1)
    lists = {name: getattr(selection, name) for name in ("states", "registered_by", "handled_by")}
    return {
        "first": _midnight(selection.first),
        "end": _midnight(end),
        **{name: None if codes is None else [*codes] for name, codes in lists.items()},
    }


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=CHINA)
