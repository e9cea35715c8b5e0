"""What a node with many cases is asked 查询: the product's own functions, each with its target."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from typing import Any, NamedTuple

from node.postgres.connection import Connection
from node.queries import deadlines as due
from node.queries.case_history import read_events
from node.queries.cases import CasePlace, find_case, list_cases
from node.queries.deadlines import duties
from node.queries.figures.indicators import indicators
from node.queries.figures.overview import overview
from node.queries.figures.periods import today
from node.queries.figures.rising import KEYS, rising

_PAGE = 50
_CASE_MS, _LIST_MS, _RISING_MS, _YEAR_MS = 5, 50, 1_000, 2_000
# Filters of the case list; those that match little or nothing are the hard ones.
_FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"state": "accepted"},
    {"handled_by": "370000"},
    {"handled_by": "none"},
    {"registered_by": "660000"},
    {"channel": "visit"},
    {"channel": "other"},
    {"area": "37"},
    {"area": "370101"},
    {"content_category_1": "纪检监察"},
    {"finding": "repeat"},
    {"conflicts": True},
    {"incomplete": True},
    {"overdue": True},
    {"overdue": True, "handled_by": "660000"},
    {"overdue": True, "clock": "D02"},
    {"clock": "D06"},
    {"due_within_hours": 72},
    {"state": "accepted", "handled_by": "660000"},
)


class Question(NamedTuple):
    """Something asked of the database: its group, its name, its limit, and how to ask it.

    `plan`: whether its plan is worth a reader's time.
    """

    group: str
    name: str
    limit_ms: float
    ask: Callable[[], Any]
    plan: bool = False


def questions(connection: Connection) -> Iterator[Question]:
    """All of them, against the cases that `benchmarks.million` made."""
    yield from _one_case(connection)
    yield from _lists(connection)
    yield from _deadlines(connection)
    yield from _figures(connection)


def _one_case(connection: Connection) -> Iterator[Question]:
    sample = "select case_id from petition_case tablesample system (0.2) limit 500"
    ids = cycle(row[0] for row in _rows(connection, sample))

    def ask() -> None:
        case_id = next(ids)
        find_case(connection, case_id)
        read_events(connection, case_id)

    yield Question("one case", "by id, with clocks, evaluations and events", _CASE_MS, ask, True)


def _lists(connection: Connection) -> Iterator[Question]:
    deep = _deep(connection)
    for filters in _FILTERS:
        name = ", ".join(f"{key}={value}" for key, value in filters.items()) or "all"
        for page, after in (("first page", None), ("deep page", deep)):
            ask = partial(list_cases, connection, filters, [*duties()], _PAGE, after)

            worth = page == "deep page" and name in ("all", "area=370101", "overdue=True")
            yield Question("lists of cases", f"{name}, {page}", _LIST_MS, ask, worth)


def _deep(connection: Connection) -> CasePlace:
    """Behind nine tenths of all cases."""
    statement = """
        select registered_at, case_id from petition_case order by registered_at desc, case_id desc
        offset (select count(*) * 9 / 10 from petition_case) limit 1
    """
    return CasePlace(*_rows(connection, statement)[0])


def _deadlines(connection: Connection) -> Iterator[Question]:
    now = datetime.now(UTC)
    late, soon = due.overdue(now), due.due_within(now, 72)
    behind = due.DeadlinePlace(
        now - timedelta(days=60), "", "00000000-0000-0000-0000-000000000000", ""
    )
    choices: dict[str, dict[str, Any]] = {
        "all": {},
        "clock D06": {"clock": "D06"},
        "owner 660000": {"owner": "660000"},
        "deep page": {"after": behind},
    }
    for name, span in (("overdue", late), ("due within 72 h", soon)):
        for chosen, options in choices.items():
            if span is late or chosen != "deep page":
                yield Question(
                    *("deadlines", f"{name}, list, {chosen}", _LIST_MS),
                    partial(due.deadlines, connection, span, **options),
                    plan=span is late and chosen == "all",
                )
        yield Question(
            *("deadlines", f"{name}, counts by clock and node", _LIST_MS),
            partial(due.deadline_counts, connection, span),
            plan=span is late,
        )


def _figures(connection: Connection) -> Iterator[Question]:
    last = today()
    first = last - timedelta(days=364)
    yield Question(
        *("figures", "indicators, a year with all cases in it", _YEAR_MS),
        partial(indicators, connection, first, last),
        plan=True,
    )
    month = last - timedelta(days=30)
    yield Question(
        "figures", "indicators, a month", _YEAR_MS, partial(indicators, connection, month, last)
    )
    yield Question("figures", "overview, all time", _YEAR_MS, partial(overview, connection))
    for by in KEYS:
        for days in (7, 30, 90):
            yield Question(
                *("figures", f"rising by {by}, {days} days", _RISING_MS),
                partial(rising, connection, last, days, by),
                plan=by == "category_3" and days == 30,
            )


def _rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()
