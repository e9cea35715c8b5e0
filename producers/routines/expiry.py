"""Keep time 计时: do what falls due by the passing of time, at every node for its own clocks.

- An evaluation window D16 that passed unused becomes `evaluation.expired`, one for each object
  without an evaluation. In a grace period after the window, evaluations made in time can arrive;
  later ones count too, because an expiry does not prevent them.
- A provisional 暂定 due instant is corrected by `case.corrected` once the calendar of its year is
  known. A clock that ended before stays as it is.
- Answers kept for idempotency keys 幂等键 are deleted after two weeks.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from cases.calendar import WorkingDays, corrected, installed
from cases.case import Case, Clock
from cases.clocks import Deadline
from cases.clocks.names import EVALUATION
from cases.evaluable import OBJECTS
from cases.regulations import regulation
from node.keys.office import Office
from node.postgres.connection import Connection
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from producers.commands.act_on_many import Plan, act
from producers.commands.draft_event import Command
from producers.routines.routine import DEFAULT_POLICY, Resting, Routine, RoutinePolicy
from schemas.instants import Clock as Now
from schemas.instants import now_micros

ACTOR: Final = "routine:timekeeping"
BATCH_CASES: Final = 200
_PERIOD_SECONDS = 60.0
_MICROS_PER_HOUR = 3_600_000_000

_LAPSED = """
    select case_id from case_clock
    where clock = %s and ended_at is null and owner = %s and case_id <> all(%s)
        and due_at <= to_timestamp(%s / 1000000.0)
    order by due_at, case_id limit %s
"""
# Clients repeat requests within days; the answers are kept longer than the longest holiday.
_FORGET = "delete from idempotent_result where created_at < now() - interval '14 days'"
# A due instant of the same calendar cannot have become certain.
_PROVISIONAL = """
    select distinct case_id from case_clock
    where owner = %s and provisional and ended_at is null and calendar <> %s and case_id > %s
    order by case_id limit %s
"""


class Timekeeping(Routine):
    """The routine of time; a worker for `node.runtime.supervisor`."""

    name = "timekeeping"

    def __init__(
        self,
        settings: Settings,
        clock: Now = now_micros,
        calendar: WorkingDays | None = None,
        policy: RoutinePolicy = DEFAULT_POLICY,
    ) -> None:
        super().__init__(settings, clock, policy)
        self._grace = settings.evaluation_grace_hours * _MICROS_PER_HOUR
        self._calendar = calendar or installed()
        self._resting = Resting()

    def round(self, connection: Connection, office: Office, stop: Stop) -> float:
        """Expire windows and correct due instants, batch by batch."""
        while not stop.is_set() and self._expire_some(connection, office):
            """There may be more."""
        for case_ids in self._provisional(connection, office):
            if stop.is_set():
                break
            _act(connection, office, case_ids, partial(_settle, office, self._calendar))
        with connection, connection.cursor() as cursor:
            cursor.execute(_FORGET)
        return _PERIOD_SECONDS

    def _expire_some(self, connection: Connection, office: Office) -> bool:
        """Expire a batch; return whether there may be more."""
        before = office.clock() - self._grace
        values = (EVALUATION, office.node, self._resting.case_ids(), before, BATCH_CASES)
        case_ids = _case_ids(connection, _LAPSED, values)
        wrote = _act(connection, office, case_ids, partial(_expire, office, before))
        # Cases that were not expired, because they refused or changed, wait for a later round.
        self._resting.add(set(case_ids) - wrote)
        return len(case_ids) == BATCH_CASES

    def _provisional(self, connection: Connection, office: Office) -> Iterator[list[str]]:
        last = ""
        while True:
            values = (office.node, self._calendar.name, last, BATCH_CASES)
            case_ids = _case_ids(connection, _PROVISIONAL, values)
            if not case_ids:
                return
            yield case_ids
            last = case_ids[-1]


def _case_ids(connection: Connection, query: str, values: Sequence[object]) -> list[str]:
    with connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return [case_id for (case_id,) in cursor]


def _act(connection: Connection, office: Office, case_ids: list[str], plan: Plan) -> set[str]:
    """Execute the plan; return the cases of which events were written."""
    if not case_ids:
        return set()
    with connection, connection.cursor() as cursor:
        acted = act(cursor, office, case_ids, plan)
    return {event.case_id for event in acted.events}


def _expire(office: Office, before: int, case: Case) -> list[Command]:
    """Expire the window at its deadline, not now (docs/domain.md §6)."""
    window = case.running(EVALUATION)
    if window is None or window.owner != office.node or window.due_at > before:
        return []
    return [
        Command("expire_evaluation", case.case_id, window.due_at, ACTOR, {"object": about})
        for about in OBJECTS
        if about not in case.evaluations
    ]


def _settle(office: Office, calendar: WorkingDays, case: Case) -> list[Command]:
    """Make one correction with each clock of this node whose due instant is now certain."""
    found = [
        settled
        for clock in case.clocks
        if clock.runs and clock.provisional and clock.owner == office.node
        if (settled := _settled(case, clock, calendar)) is not None
    ]
    if not found:
        return []
    names = "、".join(one.clock for one in found)
    given = {"reason": f"{names}: 工作日历已公布,暂定到期时刻予以确定({calendar.name})"}
    return [Command("correct", case.case_id, office.clock(), ACTOR, given, clocks=found)]


def _settled(case: Case, clock: Clock, calendar: WorkingDays) -> Deadline | None:
    rule = regulation(case.rule_set).clocks.get(clock.clock)
    # Only its own event knows how many days an extension has.
    if rule is None or rule.unit == "named" or rule.starts == "end_of_handling":
        return None
    due = corrected(clock.started_at, rule.length, rule.unit, rule.roll_over, calendar)
    return None if due is None else Deadline(clock.clock, clock.started_at, *due)
