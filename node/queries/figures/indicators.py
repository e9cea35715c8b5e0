"""Indicators 指标 by node and in total, over a period of days in China (docs/domain.md §6).

Each is {numerator, denominator, value}; `value` is null ("n/a") if nothing was to be counted.
docs/indicators.md says what each counts, for whom, and on which date.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

from node.postgres.connection import Connection, Cursor
from node.postgres.snapshot import snapshot
from node.queries.figures.counts import Row, count, values
from node.queries.figures.periods import period
from node.queries.figures.ratios import BASES, figures, named
from schemas.errors import Invalid

_Tally = defaultdict[str, int]
# By node; None is the key of cases that nobody is responsible for.
_Tallies = defaultdict[str | None, _Tally]


def indicators(
    connection: Connection,
    first: date,
    last: date,
    *,
    by_date: str = "registration",
    now: datetime | None = None,
) -> dict[str, Any]:
    """Return all indicators of the days `first` to `last` inclusive; raises `Invalid`.

    `by_date` chooses the date of the online share. `nodes` has those of which something was
    counted, in the order of their codes; after them, with node null, what nobody handles.
    """
    chosen = period(first, last)
    if by_date not in BASES:
        raise Invalid(f"the online share by {by_date}: choose from {', '.join(BASES)}")
    at = now or datetime.now(UTC)
    with snapshot(connection) as cursor:
        tallies = _tallies(cursor, values(chosen, at))
    total: _Tally = defaultdict(int)
    for tally in tallies.values():
        _add(total, tally)
    counted = [code for code, tally in tallies.items() if any(tally.values())]
    counted.sort(key=lambda code: (code is None, code))
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "at": at.astimezone(UTC).isoformat(),
        "by_date": by_date,
        "total": figures(total, by_date),
        "nodes": [named(code) | figures(tallies[code], by_date) for code in counted],
    }


def _tallies(cursor: Cursor, parameters: dict[str, Any]) -> _Tallies:
    tallies: _Tallies = defaultdict(lambda: defaultdict(int))
    for name, take in _TAKERS.items():
        for row in count(cursor, name, parameters):
            take(tallies, row)
    return tallies


def _add(tally: _Tally, more: dict[str, int]) -> None:
    for name, number in more.items():
        tally[name] += int(number)


def _take_registration(tallies: _Tallies, row: Row) -> None:
    """Add the office's part to the registering node, the unit's to the responsible node."""
    office, unit = row.pop("registered_by"), row.pop("handled_by")
    units = ("unit_all", "unit_timely", "first_cases", "answered_15", "answered_60")
    volumes = ("cases", "online", "persons")
    _add(tallies[unit], {name: row[name] for name in units})
    _add(tallies[office], {f"registration_{name}": row[name] for name in volumes})
    _add(tallies[office], {name: row[name] for name in ("office_all", "office_timely", "repeats")})


def _take_volume(basis: str, tallies: _Tallies, row: Row) -> None:
    office = row.pop("registered_by")
    _add(tallies[office], {f"{basis}_{name}": number for name, number in row.items()})


def _take_clock(tallies: _Tallies, row: Row) -> None:
    _add(tallies[row.pop("owner")], row)


def _take_evaluation(tallies: _Tallies, row: Row) -> None:
    kind = "expired" if row["result"] == "expired" else "evaluated"
    _add(tallies[row["node"]], {f"{kind}_{row['object']}": row["evaluations"]})
    if row["result"] in ("satisfied", "basically_satisfied"):
        _add(tallies[row["node"]], {f"content_{row['object']}": row["evaluations"]})


_TAKERS: Final[dict[str, Callable[[_Tallies, Row], None]]] = {
    "registrations": _take_registration,
    "by_petition": partial(_take_volume, "petition"),
    "by_exchange": partial(_take_volume, "exchange"),
    "replies": _take_clock,
    "landings": _take_clock,
    "evaluations": _take_evaluation,
}
