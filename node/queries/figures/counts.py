"""The counts of the indicators 指标计数: fixed SQL, each over the index of its own date.

Each query returns rows of numbers by node, from an index alone while the table is vacuumed
(docs/query-plans.md). `first` 初次 means that the case was not found to be a repeat.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from node.postgres.connection import Cursor
from node.postgres.statements import read_rows
from node.queries.figures.periods import Period

# The online share 网信占比 excludes letters and visits.
_OFFLINE = ["letter", "visit"]
# Midnight in China of 2000-01-01, from which days are counted.
_MIDNIGHT = datetime(1999, 12, 31, 16, tzinfo=UTC)

# One pass over the registrations; a period shifted by 15 or 30 days is a part of the wider one.
# A day count ends at 24:00 in China of its last day, as all clocks of natural days do.
_REGISTRATIONS = """
    with registration as (
        select *, finding is distinct from 'repeat' as first,
               registered_at >= %(begin)s as inside,
               registered_at >= %(begin_15)s and registered_at < %(end_15)s as of_15,
               registered_at < %(end_30)s as of_30,
               date_bin('24 hours', registered_at, %(midnight)s) as registered_day,
               date_bin('24 hours', received_at, %(midnight)s) as received_day
        from petition_case
        where registered_at >= %(begin_30)s and registered_at < %(end)s
    )
    select registered_by, handled_by,
        count(*) filter (where first and of_15) as office_all,
        count(*) filter (where first and of_15
            and accepted_at < registered_day + interval '384 hours') as office_timely,
        count(*) filter (where first and of_30) as unit_all,
        count(*) filter (where first and of_30
            and accepted_at < registered_day + interval '744 hours') as unit_timely,
        count(*) filter (where inside) as cases,
        count(*) filter (where inside and finding = 'repeat') as repeats,
        count(*) filter (where inside and first) as first_cases,
        count(*) filter (where inside and first
            and decided_at < received_day + interval '384 hours') as answered_15,
        count(*) filter (where inside and first
            and decided_at < received_day + interval '1464 hours') as answered_60,
        count(*) filter (where inside and channel <> all(%(offline)s)) as online,
        coalesce(sum(coalesce(persons, 1)) filter (where inside), 0) as persons
    from registration group by registered_by, handled_by
"""

_VOLUME = """
    select registered_by, count(*) as cases,
        count(*) filter (where channel <> all(%(offline)s)) as online,
        sum(coalesce(persons, 1)) as persons
    from petition_case where {date} >= %(begin)s and {date} < %(end)s
    group by registered_by
"""

# A clock that ended and was not met was replaced or is no longer needed: neither kept nor missed.
_ASKED = "(c.ended_at is null or c.met_at is not null)"
_FIRST = """not exists (
    select from petition_case p where p.case_id = c.case_id and p.finding = 'repeat')"""

_REPLIES = f"""
    select c.owner,
        count(*) filter (where c.met_at <= c.due_at) as on_time,
        count(*) filter (where c.met_at > c.due_at) as late,
        count(*) filter (where c.met_at is null and c.due_at >= %(now)s) as not_yet_due,
        count(*) filter (where c.met_at is null and c.due_at < %(now)s) as overdue_open
    from case_clock c
    where c.clock in ('D06', 'D07', 'D14') and c.due_at > %(begin)s and c.due_at <= %(end)s
        and {_ASKED} and {_FIRST}
    group by c.owner
"""

_LANDINGS = f"""
    select c.owner, count(*) as arrived, count(*) filter (where c.met_at <= c.due_at) as landed
    from case_clock c
    where c.clock = 'D02' and c.started_at >= %(begin)s and c.started_at < %(end)s
        and {_ASKED} and {_FIRST}
    group by c.owner
"""

# An evaluation expires at a deadline, which belongs to the day that ends with it.
_EVALUATIONS = """
    select e.node, e.object, e.result, count(*) as evaluations
    from case_evaluation e
    where e.evaluated_at >= %(begin)s and e.evaluated_at <= %(end)s
        and case when e.result = 'expired' then e.evaluated_at > %(begin)s
            else e.evaluated_at < %(end)s end
        and not e.repeat
    group by e.node, e.object, e.result
"""

QUERIES: Final = {
    "registrations": _REGISTRATIONS,
    "by_registration": _VOLUME.format(date="registered_at"),
    "by_petition": _VOLUME.format(date="received_at"),
    "by_exchange": _VOLUME.format(date="exchanged_at"),
    "replies": _REPLIES,
    "landings": _LANDINGS,
    "evaluations": _EVALUATIONS,
}

Row = dict[str, Any]


def values(chosen: Period, now: datetime) -> dict[str, Any]:
    return {
        **_shifted(chosen, 15),
        **_shifted(chosen, 30),
        "begin": chosen.begin,
        "end": chosen.end,
        "now": now,
        "midnight": _MIDNIGHT,
        "offline": _OFFLINE,
    }


def _shifted(chosen: Period, days: int) -> dict[str, datetime]:
    """Return the bounds of registration for what becomes due, `days` later, in the period."""
    earlier = timedelta(days=days)
    return {f"begin_{days}": chosen.begin - earlier, f"end_{days}": chosen.end - earlier}


def count(cursor: Cursor, name: str, parameters: dict[str, Any]) -> list[Row]:
    return read_rows(cursor, QUERIES[name], parameters)
