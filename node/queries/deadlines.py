"""Deadlines 时限: duties that are overdue 逾期 or soon due, as a list and as counts.

A clock can be a duty 责任时限, which can be overdue, or a right, which only lapses. Its owner
computed the due instant once. Each clock is a range of its own in the index `case_clock_running`,
so that lapsed rights are skipped, and the oldest of every clock are found at once.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple

from cases.regulations import RULE_SETS, regulation
from node.postgres.connection import Connection, Cursor
from node.postgres.statements import query_rows
from schemas.errors import Invalid

MAX_PAGE: Final = 200
MAX_HOURS: Final = 24 * 366
_LONG_AGO: Final = datetime(1, 1, 2, tzinfo=UTC)

_RUNNING = """
    r.ended_at is null and r.due_at >= %(low)s and r.due_at < %(high)s
    and (%(owner)s::text is null or r.owner = %(owner)s)
"""
# It takes a page of each clock, and of these rows the first page.
LIST: Final = f"""
    with page as (
        select r.* from unnest(%(clocks)s::text[]) as k (clock) cross join lateral (
            select r.clock, r.due_at, r.case_id, r.event_id, r.owner from case_clock r
            where r.clock = k.clock and {_RUNNING}
                and (r.due_at, r.case_id, r.event_id)
                    >= (%(due_at)s::timestamptz, %(case_id)s, %(event_id)s::uuid)
                and (r.due_at, r.case_id, r.event_id, r.clock)
                    > (%(due_at)s::timestamptz, %(case_id)s, %(event_id)s::uuid, %(clock)s)
            order by r.due_at, r.case_id, r.event_id limit %(limit)s
        ) r
        order by due_at, case_id, event_id, clock limit %(limit)s
    )
    select page.case_id, page.clock, page.owner, page.due_at, page.event_id::text,
        c.started_at, c.provisional, p.state, p.handled_by, p.title, p.urgent
    from page join case_clock c using (case_id, clock, event_id)
        left join petition_case p using (case_id)
    order by page.due_at, page.case_id, page.event_id, page.clock
"""
COUNTS: Final = f"""
    select r.clock, r.owner, count(*) as running
    from case_clock r where r.clock = any(%(clocks)s) and {_RUNNING}
    group by r.clock, r.owner order by r.clock, r.owner
"""
# Cases, not clocks: a case may have several of one clock, e.g. D12 for two assignments.
CASES: Final = f"""
    select r.clock, count(distinct r.case_id)
    from case_clock r where r.clock = any(%(clocks)s) and {_RUNNING} group by r.clock
"""


@cache
def duties() -> tuple[str, ...]:
    """Return the clocks that are a duty in any rule set, in order."""
    rules = (rule for name in RULE_SETS for rule in regulation(name).clocks.values())
    return tuple(sorted({rule.id for rule in rules if rule.duty}))


def chosen_duties(clock: str | None) -> list[str]:
    """Return one duty, or all of them; raises `Invalid` for a clock that is none."""
    if clock is None:
        return [*duties()]
    if clock not in duties():
        raise Invalid(f"clock {clock} is no duty: choose from {', '.join(duties())}")
    return [clock]


class DeadlinePlace(NamedTuple):
    """The clock after which a page begins."""

    due_at: datetime
    case_id: str
    event_id: str
    clock: str


_BEGINNING: Final = DeadlinePlace(_LONG_AGO, "", "00000000-0000-0000-0000-000000000000", "")


class Span(NamedTuple):
    """Clocks that are due at `low` or later and before `high`."""

    low: datetime
    high: datetime


def overdue(now: datetime) -> Span:
    """Return the span of what was due before now 已逾期."""
    return Span(_LONG_AGO, now)


def due_within(now: datetime, hours: int) -> Span:
    """Return the span of what is due from now on, within these hours 即将到期."""
    if not 1 <= hours <= MAX_HOURS:
        raise Invalid(f"due within {hours} hours: choose 1 to {MAX_HOURS}")
    return Span(now, now + timedelta(hours=hours))


def deadlines(
    connection: Connection,
    span: Span,
    *,
    clock: str | None = None,
    owner: str | None = None,
    limit: int = 50,
    after: DeadlinePlace | None = None,
) -> list[dict[str, Any]]:
    """Return at most `limit` running duties of the span, the longest due first; see `place_of`.

    `owner` is the node whose duty it is.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid(f"a page of {limit} deadlines: choose 1 to {MAX_PAGE}")
    values = _values(span, chosen_duties(clock), owner)
    values |= {"limit": limit, **(after or _BEGINNING)._asdict()}
    return query_rows(connection, LIST, values)


def deadline_counts(
    connection: Connection, span: Span, *, clock: str | None = None, owner: str | None = None
) -> list[dict[str, Any]]:
    """Return the number of running duties of each node, by clock: {clock, owner, running}."""
    return query_rows(connection, COUNTS, _values(span, chosen_duties(clock), owner))


def cases_by_clock(cursor: Cursor, span: Span) -> dict[str, int]:
    """Return the number of cases with a running duty of the span, for every duty, 0 too."""
    cursor.execute(CASES, _values(span, [*duties()], None))
    return {**dict.fromkeys(duties(), 0), **dict(cursor.fetchall())}


def place_of(row: dict[str, Any]) -> DeadlinePlace:
    return DeadlinePlace(*(row[name] for name in DeadlinePlace._fields))


def _values(span: Span, clocks: list[str], owner: str | None) -> dict[str, Any]:
    return {"low": span.low, "high": span.high, "clocks": clocks, "owner": owner}
