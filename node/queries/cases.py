"""Lists of cases 信访件列表, and one case with all that is known of it, for programs.

Statements are built from the constant fragments below; values are parameters. Lists are in the
order of registration, newest first; cases whose registration has not arrived come before all
others. Paging is by key, so that a page costs the same at any depth.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from node.postgres.connection import Connection, Cursor
from node.postgres.statements import query_rows, read_rows, read_value

_COLUMNS = """
    c.case_id, c.state, c.title, c.channel, c.area, c.content_category_1, c.content_category_2,
    c.content_category_3, c.petition_class, c.claim_path, c.rule_set, c.persons, c.urgent,
    c.is_group, c.registered_by, c.handled_by, c.participants, c.finding, c.repeat_of, c.outcome,
    c.received_at, c.registered_at, c.accepted_at, c.decided_at, c.served_at, c.closed_at,
    c.version, c.conflicts > 0 as in_conflict, c.incomplete
"""

# The condition of each filter; those about clocks are in `_CLOCK_FILTERS`.
_FILTERS: Mapping[str, str] = {
    "state": "c.state = %(state)s",
    "registered_by": "c.registered_by = %(registered_by)s",
    "handled_by": "c.handled_by = %(handled_by)s",
    "channel": "c.channel = %(channel)s",
    "area": "c.area like %(area)s || '%%'",
    "content_category_1": "c.content_category_1 = %(content_category_1)s",
    "registered_from": "c.registered_at >= %(registered_from)s",
    "registered_before": "c.registered_at < %(registered_before)s",
    "finding": "c.finding = %(finding)s",
}
_NOBODY = "c.handled_by is null"
_SWITCHES: Mapping[tuple[str, bool], str] = {
    ("conflicts", True): "c.conflicts > 0",
    ("conflicts", False): "c.conflicts = 0",
    ("incomplete", True): "c.incomplete",
    ("incomplete", False): "not c.incomplete",
}
_CLOCK_FILTERS: Mapping[str, str] = {
    "overdue": "k.due_at < now() and k.clock = any(%(duties)s)",
    "clock": "k.clock = %(clock)s",
    "due_within_hours": (
        "k.due_at >= now() and k.due_at < now() + make_interval(hours => %(due_within_hours)s)"
    ),
}
_DUTY = "k.clock = any(%(duties)s)"
_RUNNING = (
    "exists (select from case_clock k where k.case_id = c.case_id and k.ended_at is null and {})"
)
# If few clocks match, their cases are fetched and sorted: a join would read all cases if these were
# at the other end of the list. If many match, reading the list in order meets them soon.
_FEW = 4_000
_ONE_OF_FEW = (
    "c.case_id = any(array(select k.case_id from case_clock k where k.ended_at is null and {}))"
)
_COUNT = (
    "select count(*) from "
    "(select from case_clock k where k.ended_at is null and {} limit %(few)s) matching"
)
_AFTER = "(c.registered_at, c.case_id) < (%(after_at)s, %(after_id)s)"
# After a case without registration come the other ones without, then all that are registered.
_AFTER_UNREGISTERED = "(c.registered_at is not null or c.case_id < %(after_id)s)"
_LIST = (
    "select"
    + _COLUMNS
    + "from petition_case c {where} order by c.registered_at desc, c.case_id desc limit %(limit)s"
)


class CasePlace(NamedTuple):
    """The case after which a page begins."""

    registered_at: datetime | None
    case_id: str


def list_cases(
    connection: Connection,
    filters: Mapping[str, Any],
    duties: list[str],
    limit: int,
    after: CasePlace | None = None,
) -> list[dict[str, Any]]:
    """Return at most `limit` cases that pass all `filters` (name → value; None filters nothing).

    `handled_by` "none" selects cases that nobody is responsible for; `duties` are the clocks that
    can be overdue. Raises KeyError for an unknown filter.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    conditions = _conditions(given)
    values: dict[str, Any] = {**given, "duties": duties, "limit": limit}
    if after is not None:
        conditions.append(_AFTER_UNREGISTERED if after.registered_at is None else _AFTER)
        values |= {"after_at": after.registered_at, "after_id": after.case_id}
    clocks = _clock_conditions(given)
    with connection, connection.cursor() as cursor:
        if clocks:
            conditions.append(_matching(cursor, " and ".join(clocks), values))
        where = "where " + " and ".join(conditions) if conditions else ""
        return read_rows(cursor, _LIST.format(where=where), values)


def _conditions(given: Mapping[str, Any]) -> list[str]:
    conditions = []
    for name, value in given.items():
        if name == "handled_by" and value == "none":
            conditions.append(_NOBODY)
        elif name == "overdue" and value is False:
            conditions.append("not " + _RUNNING.format(_CLOCK_FILTERS["overdue"]))
        elif name in ("conflicts", "incomplete"):
            conditions.append(_SWITCHES[name, value])
        elif name not in _CLOCK_FILTERS:
            conditions.append(_FILTERS[name])
    return conditions


def _clock_conditions(given: Mapping[str, Any]) -> list[str]:
    """Return the conditions that one running clock of the case must meet together."""
    asked = [name for name in _CLOCK_FILTERS if given.get(name, False) is not False]
    conditions = [_CLOCK_FILTERS[name] for name in asked]
    if "due_within_hours" in asked and "clock" not in asked:
        conditions.append(_DUTY)
    return conditions


def _matching(cursor: Cursor, clocks: str, values: Mapping[str, Any]) -> str:
    """Return the condition that a case has such a clock, in the form for their number."""
    number = read_value(cursor, _COUNT.format(clocks), {**values, "few": _FEW})
    return (_ONE_OF_FEW if number < _FEW else _RUNNING).format(clocks)


# One statement, so that all parts are of one snapshot.
_ONE = f"""
    select {_COLUMNS},
    c.fold -> 'gaps' as gaps, c.fold -> 'conflicts' as conflict_list,
    array(select jsonb_build_object(
        'clock', k.clock, 'owner', k.owner, 'event_id', k.event_id, 'started_at', k.started_at,
        'due_at', k.due_at, 'provisional', k.provisional, 'met_at', k.met_at,
        'ended_at', k.ended_at)
        from case_clock k where k.case_id = c.case_id
        order by k.started_at, k.clock, k.event_id) as clocks,
    array(select jsonb_build_object(
        'object', e.object, 'result', e.result, 'reason', e.reason,
        'evaluated_at', e.evaluated_at)
        from case_evaluation e where e.case_id = c.case_id order by e.object) as evaluations,
    array(select jsonb_build_object(
        'supervision_id', s.supervision_id, 'kind', s.kind, 'grounds', s.grounds,
        'issued_by', s.issued_by, 'node', s.node, 'issued_at', s.issued_at, 'due_at', s.due_at,
        'replied_at', s.replied_at, 'lifted_at', s.lifted_at)
        from case_supervision s where s.case_id = c.case_id
        order by s.issued_at, s.supervision_id) as supervisions
    from petition_case c where c.case_id = %(case_id)s
"""


def find_case(connection: Connection, case_id: str) -> dict[str, Any] | None:
    """Return a case with clocks, evaluations, supervisions, gaps, conflicts; None if unknown."""
    rows = query_rows(connection, _ONE, {"case_id": case_id})
    return rows[0] if rows else None
