"""Read what is overdue 逾期 at the centre, page by page, and the supervisions about it."""

from collections.abc import Iterator, Sequence
from typing import Final

from cases.case import Case, State
from cases.clocks.names import REPORT
from cases.nodes import NATIONAL
from node.postgres.connection import Connection
from node.queries.deadlines import MAX_PAGE, deadlines, overdue, place_of
from producers.routines.supervision_policy import PolicyRule
from producers.routines.supervision_rules import MICROS_PER_DAY, Issued, Overdue
from schemas.instants import datetime_of, micros_at

# A proposal has this instead of a clock if a case was assigned without a day for its report.
ASSIGNED: Final = "assigned"
# The case is assigned and neither answered, refused nor passed on in another way.
_WAITING = (State.ASSIGNED, State.LANDED, State.ACCEPTED, State.ACCEPTANCE_OVERRULED)

# By the index on (state, registered_at, case_id); nothing is assigned before it is registered.
_ASSIGNED: Final = """
    select case_id, registered_at, fold #>> '{dispatch,event_id}', handled_by,
        (fold #>> '{dispatch,at}')::bigint
    from petition_case p
    where state = %(state)s and registered_at <= to_timestamp(%(before)s / 1000000.0)
        and (registered_at, case_id) > (%(after_at)s::timestamptz, %(after)s)
        and fold #>> '{dispatch,at}' = fold #>> '{milestones,assigned}'
        and (fold #>> '{dispatch,at}')::bigint <= %(before)s
        and not exists (
            select from case_clock c where c.case_id = p.case_id and c.clock = %(report)s
                and c.event_id = (p.fold #>> '{dispatch,event_id}')::uuid)
    order by registered_at, case_id limit %(limit)s
"""
_ISSUED = """
    select case_id, kind, grounds, issued_by, node,
        (extract(epoch from issued_at) * 1000000)::bigint,
        (extract(epoch from replied_at) * 1000000)::bigint,
        (extract(epoch from lifted_at) * 1000000)::bigint
    from case_supervision where case_id = any(%s)
"""


def pages(connection: Connection, rule: PolicyRule, now: int) -> Iterator[list[Overdue]]:
    """Yield the provinces' duties of `rule`, the longest overdue of each clock first."""
    found = (
        _assigned(connection, rule.assigned_days, now)
        if rule.assigned_days is not None
        else _late(connection, rule, now)
    )
    for page in found:
        # The centre does not write to itself; the monitor page shows its own deadlines.
        yield [duty for duty in page if duty.owner != NATIONAL]


def issued_for(connection: Connection, duties: Sequence[Overdue]) -> dict[str, list[Issued]]:
    """Return the supervisions of these cases, by case."""
    found: dict[str, list[Issued]] = {duty.case_id: [] for duty in duties}
    with connection, connection.cursor() as cursor:
        cursor.execute(_ISSUED, ([*found],))
        for case_id, *columns in cursor:
            found[case_id].append(Issued(*columns))
    return found


def still_overdue(case: Case, duty: Overdue) -> bool:
    """Return whether the folded case has the duty too."""
    if duty.clock == ASSIGNED:
        sent = case.dispatch
        return sent is not None and sent["event_id"] == duty.event_id and case.state in _WAITING
    return any(
        one.runs
        and (one.clock, one.event_id, one.due_at) == (duty.clock, duty.event_id, duty.due_at)
        for one in case.clocks
    )


def _late(connection: Connection, rule: PolicyRule, now: int) -> Iterator[list[Overdue]]:
    before = datetime_of(now - (rule.overdue_days or 0) * MICROS_PER_DAY)
    for clock in rule.clocks:
        place = None
        while True:
            rows = deadlines(connection, overdue(before), clock=clock, limit=MAX_PAGE, after=place)
            yield [
                Overdue(
                    row["case_id"], clock, row["event_id"], row["owner"], micros_at(row["due_at"])
                )
                for row in rows
            ]
            if len(rows) < MAX_PAGE:
                break
            place = place_of(rows[-1])


def _assigned(connection: Connection, days: int, now: int) -> Iterator[list[Overdue]]:
    for state in _WAITING:
        values = {
            "state": state,
            "report": REPORT,
            "before": now - days * MICROS_PER_DAY,
            "limit": MAX_PAGE,
            "after_at": "-infinity",
            "after": "",
        }
        while True:
            with connection, connection.cursor() as cursor:
                cursor.execute(_ASSIGNED, values)
                rows = cursor.fetchall()
            yield [
                Overdue(case_id, ASSIGNED, event_id, owner, at + days * MICROS_PER_DAY)
                for case_id, _, event_id, owner, at in rows
            ]
            if len(rows) < MAX_PAGE:
                break
            values |= {"after_at": rows[-1][1], "after": rows[-1][0]}
