"""Cases as bare facts, and what the indicators of docs/domain.md §6 make of them, computed by hand.

The oracle of node/queries: plain Python over lists, sharing nothing with the SQL under test.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from psycopg2.extras import execute_values

from cases.clocks import names
from node.postgres.connection import connected

SHANGHAI = ZoneInfo("Asia/Shanghai")
FOLD = '{"gaps": [], "conflicts": []}'


@dataclass
class FactClock:
    """A row of case_clock."""

    clock: str
    owner: str
    started_at: datetime
    due_at: datetime
    met_at: datetime | None = None
    ended_at: datetime | None = None
    event_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass
class FactCase:
    """A row of petition_case with its clocks and evaluations (object, result, instant)."""

    case_id: str
    registered_at: datetime
    received_at: datetime
    registered_by: str = "110000"
    handled_by: str | None = "110000"
    finding: str | None = "first"
    channel: str = "web"
    persons: int | None = 1
    accepted_at: datetime | None = None
    decided_at: datetime | None = None
    exchanged_at: datetime | None = None
    area: str = "110101"
    categories: tuple[str, str, str] = ("", "", "")
    state: str = "registered"
    conflicts: int = 0
    clocks: list[FactClock] = field(default_factory=list)
    evaluations: list[tuple[str, str, datetime]] = field(default_factory=list)

    @property
    def first(self) -> bool:
        """初次: not found to be a repeat."""
        return self.finding != "repeat"


_CASES = """insert into petition_case (case_id, state, registered_by, handled_by, participants,
    channel, area, content_category_1, content_category_2, content_category_3, received_at,
    registered_at, accepted_at, decided_at, exchanged_at, persons, finding, version, conflicts,
    incomplete, revision, fold) values %s"""
_CLOCKS = """insert into case_clock (case_id, clock, event_id, owner, started_at, due_at,
    provisional, calendar, met_at, ended_at) values %s"""
_EVALUATIONS = """insert into case_evaluation (case_id, object, result, reason, evaluated_at, node,
    repeat) values %s"""


def write_facts(dsn: str, cases: Iterable[FactCase], *, anew: bool = True) -> None:
    """Write the rows; they replace what was there, unless `anew` is off."""
    cases = [*cases]
    with connected(dsn, "test") as connection, connection, connection.cursor() as cursor:
        if anew:
            cursor.execute("delete from petition_case")
            cursor.execute("delete from case_clock; delete from case_evaluation")
        execute_values(cursor, _CASES, [_case_row(case) for case in cases])
        execute_values(cursor, _CLOCKS, [
            (case.case_id, one.clock, one.event_id, one.owner, one.started_at, one.due_at, False,
             "", one.met_at, one.ended_at)
            for case in cases for one in case.clocks
        ])  # fmt: skip
        execute_values(cursor, _EVALUATIONS, [
            (case.case_id, about, result, "", at,
             case.registered_by if about == "office" else case.handled_by, not case.first)
            for case in cases for about, result, at in case.evaluations
        ])  # fmt: skip


def _case_row(case: FactCase) -> tuple[Any, ...]:
    return (
        *(case.case_id, case.state, case.registered_by, case.handled_by, [case.registered_by]),
        *(case.channel, case.area, *case.categories, case.received_at, case.registered_at),
        *(case.accepted_at, case.decided_at, case.exchanged_at, case.persons, case.finding),
        *(1, case.conflicts, False, 1, FOLD),
    )


def expected(
    cases: list[FactCase], first: date, last: date, now: datetime, node: str | None = "all"
) -> dict[str, tuple[int, int]]:
    """Numerator and denominator of every indicator; of one node unless "all"."""

    def office(case: FactCase) -> bool:
        return node in ("all", case.registered_by)

    def unit(case: FactCase) -> bool:
        return node in ("all", case.handled_by)

    def inside(day: date) -> bool:
        return first <= day <= last

    registered = [case for case in cases if inside(day_of(case.registered_at))]
    results: dict[str, tuple[int, int]] = {}
    for name, days, whose in (("office", 15, office), ("unit", 30, unit)):
        asked = [
            case
            for case in cases
            if case.first
            and whose(case)
            and inside(day_of(case.registered_at) + timedelta(days=days))
        ]
        kept = [case for case in asked if within(case.registered_at, case.accepted_at, days)]
        results[f"timely_acceptance_{name}"] = len(kept), len(asked)
    for days in (15, 60):
        asked = [case for case in registered if case.first and unit(case)]
        kept = [case for case in asked if within(case.received_at, case.decided_at, days)]
        results[f"answered_within_{days}_days"] = len(kept), len(asked)
    mine = [case for case in registered if office(case)]
    results["repeat_rate"] = sum(not case.first for case in mine), len(mine)
    online = [case for case in mine if case.channel not in {"letter", "visit"}]
    results["online_share"] = len(online), len(mine)
    results |= _clocks(cases, inside, now, node)
    results |= _evaluations(cases, inside, office, unit)
    return results


def _clocks(
    cases: list[FactCase], inside: Any, now: datetime, node: str | None
) -> dict[str, tuple[int, int]]:
    clocks = [
        one
        for case in cases
        if case.first
        for one in case.clocks
        if node in ("all", one.owner) and not (one.ended_at and not one.met_at)
    ]
    replies = [
        one
        for one in clocks
        if one.clock in {names.REPLY, names.EXTENSION, names.SIMPLE_REPLY}
        and inside(last_day_of(one.due_at))
    ]
    landings = [
        one for one in clocks if one.clock == names.LANDING and inside(day_of(one.started_at))
    ]
    return {
        "on_time_reply": (sum(map(_met_in_time, replies)), len(replies)),
        "landing": (sum(map(_met_in_time, landings)), len(landings)),
    }


def _evaluations(
    cases: list[FactCase], inside: Any, office: Any, unit: Any
) -> dict[str, tuple[int, int]]:
    results = {}
    for about, whose in (("office", office), ("unit", unit)):
        found = [
            result
            for case in cases
            if case.first and whose(case)
            for one, result, at in case.evaluations
            if one == about and inside(last_day_of(at) if result == "expired" else day_of(at))
        ]
        given = [result for result in found if result != "expired"]
        content = [result for result in given if result != "dissatisfied"]
        results[f"participation_{about}"] = len(given), len(found)
        results[f"satisfaction_{about}"] = len(content), len(given)
    return results


def volumes(cases: list[FactCase], date_of: str, first: date, last: date) -> tuple[int, int]:
    """件次 and 人次 by one of the three dates."""
    found = [
        case
        for case in cases
        if (at := getattr(case, date_of)) is not None and first <= day_of(at) <= last
    ]
    return len(found), sum(case.persons or 1 for case in found)


def _met_in_time(one: FactClock) -> bool:
    return one.met_at is not None and one.met_at <= one.due_at


def day_of(instant: datetime) -> date:
    """Return the day of an instant in China."""
    return instant.astimezone(SHANGHAI).date()


def last_day_of(due: datetime) -> date:
    """Return the last day of a deadline, which ends at 24:00."""
    return day_of(due - timedelta(microseconds=1))


def within(start: datetime, done: datetime | None, days: int) -> bool:
    """Return whether it was done within `days`; the first day is not counted."""
    return done is not None and (day_of(done) - day_of(start)).days <= days
