"""The facts of the interconnect 全国概况: which nodes are connected, the online share, landing.

The centre has them for the whole country, other nodes for their own cases.
"""

from datetime import UTC, date, datetime
from typing import Any, Final

from cases.nodes import NATIONAL, PROVINCES
from node.postgres.connection import Connection, Cursor
from node.postgres.snapshot import snapshot
from node.postgres.statements import read_value
from node.queries.figures.counts import Row, count, values
from node.queries.figures.periods import all_time, period
from node.queries.figures.ratios import named, share
from node.queries.flows import contacts

# Cases that need attention; each has an index of its own.
_ATTENTION: Final = {
    "in_conflict": "select count(*) from petition_case where conflicts > 0",
    "incomplete": "select count(*) from petition_case where incomplete",
}
_UNHANDLED = """
    select state, count(*) from petition_case where handled_by is null group by state order by state
"""


def overview(
    connection: Connection, first: date | None = None, last: date | None = None
) -> dict[str, Any]:
    """Return the facts, over all time or the days `first` to `last` inclusive.

    Online shares are by the registering node and its day; landing by arrival, first cases only.
    """
    whole = all_time()
    chosen = period(first or whole.first, last or whole.last)
    parameters = values(chosen, datetime.now(UTC))
    with snapshot(connection) as cursor:
        volumes = {
            row["registered_by"]: row for row in count(cursor, "by_registration", parameters)
        }
        landings = count(cursor, "landings", parameters)
        connected_since = contacts(cursor)
        needing = attention(cursor)
    return {
        "from": first and first.isoformat(),
        "to": last and last.isoformat(),
        "online": _online(volumes),
        "connected": _connected(connected_since),
        "landed_within_one_working_day": {
            **share(_total(landings, "landed"), _total(landings, "arrived")),
            "nodes": [
                named(row["owner"]) | share(row["landed"], row["arrived"])
                for row in sorted(landings, key=lambda row: str(row["owner"]))
            ],
        },
        "attention": needing,
    }


def attention(cursor: Cursor) -> dict[str, Any]:
    """Count the cases that need attention: unhandled (by state), in conflict, incomplete."""
    cursor.execute(_UNHANDLED)
    unhandled = dict(cursor.fetchall())
    counts = {name: read_value(cursor, query) for name, query in _ATTENTION.items()}
    return {"unhandled": unhandled, **counts}


def _online(volumes: dict[str | None, Row]) -> dict[str, Any]:
    nodes = [
        named(code) | share(volumes[code]["online"], volumes[code]["cases"])
        for code in (NATIONAL, *PROVINCES)
        if code in volumes
    ]
    over_half = [
        line["node"]
        for line in nodes
        if line["node"] != NATIONAL and 2 * line["numerator"] > line["denominator"]
    ]
    rows = [*volumes.values()]
    return {
        **share(_total(rows, "online"), _total(rows, "cases")),
        "provinces_over_half": len(over_half),
        "of": len(PROVINCES),
        "over_half": over_half,
        "nodes": nodes,
    }


def _connected(since: dict[str, datetime]) -> dict[str, Any]:
    nodes = [named(code) | {"connected_since": since.get(code)} for code in PROVINCES]
    missing = [code for code in PROVINCES if code not in since]
    return {
        "connected": len(PROVINCES) - len(missing),
        "of": len(PROVINCES),
        "not_connected": missing,
        "nodes": nodes,
    }


def _total(rows: list[Row], name: str) -> int:
    return int(sum(row[name] for row in rows))
