"""The accounts 收支 of each topic count its events by day, so that a loss shows in numbers.

Both ends count an event on the day (UTC+8) on which it was recorded, which neither a repeat nor a
restart changes. The sender counts events committed to its outbox and acknowledged by the broker;
the receiver counts those received, applied and dead-lettered, in the same transaction. Writers
append changes and so never wait for each other; `compact` adds them up.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from node.postgres.connection import Cursor
from node.postgres.statements import Prepared, Statement, columns

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DAY_MICROS: Final = 86_400_000_000
_CHINA_MICROS: Final = 8 * 3_600_000_000  # UTC+8 all year


class FlowKey(NamedTuple):
    """The key of a count: a topic, the day of the event, and a kind of KINDS."""

    topic: str
    day: date
    kind: str


class FlowTotals(NamedTuple):
    """The figures of one topic and day, or of several days."""

    committed: int = 0
    published: int = 0
    received: int = 0
    applied: int = 0
    duplicates: int = 0
    recovered: int = 0
    dead_lettered: int = 0


KINDS: Final = FlowTotals._fields
COMMITTED, PUBLISHED, RECEIVED, APPLIED, DUPLICATES, RECOVERED, DEAD_LETTERED = KINDS

_NAMES = ", ".join(KINDS)
_SUMS = ", ".join(f"sum({kind})::bigint" for kind in KINDS)
_ADDED = ", ".join(f"{kind} = flow_day.{kind} + excluded.{kind}" for kind in KINDS)
_NOTE = Prepared(
    "note_flow_changes",
    f"insert into flow_change (topic, day, {_NAMES}) select * from unnest"
    f"(%s::text[], %s::date[], {', '.join(['%s::integer[]'] * len(KINDS))})",
)
_COMPACT = f"""
    with taken as (delete from flow_change returning topic, day, {_NAMES})
    insert into flow_day (topic, day, {_NAMES})
    select topic, day, {_SUMS} from taken group by topic, day
    on conflict (topic, day) do update set {_ADDED}
"""
_DAYS = f"""
    select day, {_SUMS} from (
        select day, {_NAMES} from flow_day where topic = %(topic)s
        union all
        select day, {_NAMES} from flow_change where topic = %(topic)s
    ) both_parts group by day order by day
"""


def day_of(micros: int) -> date:
    """Return the day in China of an instant, clamped to the range of a date."""
    return _day((micros + _CHINA_MICROS) // _DAY_MICROS)


@lru_cache(maxsize=4096)
def _day(number: int) -> date:
    return date.fromordinal(min(max(number + _EPOCH_ORDINAL, 1), date.max.toordinal()))


def delta_statements(counts: Mapping[FlowKey, int]) -> list[Statement]:
    """Return the statements that add `counts`; run them in the transaction that is counted."""
    rows: dict[tuple[str, date], Counter[str]] = {}
    for (topic, day, kind), number in counts.items():
        rows.setdefault((topic, day), Counter())[kind] += number
    if not rows:
        return []
    values = [(*key, *(kinds[kind] for kind in KINDS)) for key, kinds in rows.items()]
    return [Statement(_NOTE, columns(values))]


def compact(cursor: Cursor) -> None:
    """Add the changes up; only one process of a node may do it at a time."""
    cursor.execute(_COMPACT)


def days(cursor: Cursor, topic: str) -> dict[date, FlowTotals]:
    """Return the totals of a topic by day, in order."""
    cursor.execute(_DAYS, {"topic": topic})
    return {day: FlowTotals(*figures) for day, *figures in cursor}
