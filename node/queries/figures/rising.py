"""Recent topics of petitions 近期反映: volumes of the last days against the days before.

All cases count, by the day of registration; repeats too, because a repeat raises the matter again.
"""

from datetime import date, timedelta
from typing import Any, Final

from node.postgres.connection import Connection
from node.postgres.snapshot import snapshot
from node.queries.figures.periods import period
from schemas.errors import Invalid

_AREA_DIGITS, _PROVINCE_DIGITS = 6, 2
_CATEGORIES = [f"nullif(content_category_{level}, '')" for level in (1, 2, 3)]
# The columns by which cases are the same matter, the widest first.
KEYS: Final = {
    "category": ", ".join(_CATEGORIES[:1]),
    "category_2": ", ".join(_CATEGORIES[:2]),
    "category_3": ", ".join(_CATEGORIES),
    "area": f"nullif(left(area, {_AREA_DIGITS}), '')",
    "province": f"nullif(left(area, {_PROVINCE_DIGITS}), '')",
    "channel": "channel",
}
_MAX_DAYS = 366

# Rising first: by how many more, then by how many times as many; new ones before known ones.
_RISING = """
    select array[{key}] as key,
        count(*) filter (where registered_at >= %(middle)s) as current,
        count(*) filter (where registered_at < %(middle)s) as previous
    from petition_case where registered_at >= %(begin)s and registered_at < %(end)s
    group by {key}
"""
_SORTED = """
    with raised as ({raised})
    select key, current, previous,
        count(*) over () as keys,
        sum(current) over () as all_current, sum(previous) over () as all_previous
    from raised
    order by current - previous desc, current::float / nullif(previous, 0) desc nulls first, key
    limit %(limit)s
"""
QUERIES: Final = {by: _SORTED.format(raised=_RISING.format(key=key)) for by, key in KEYS.items()}


def rising(
    connection: Connection, last: date, days: int, by: str, *, limit: int = 50
) -> dict[str, Any]:
    """Return the volumes of the `days` days up to `last` against as many before; rising first.

    `by` is one of `KEYS`. An item's `key` is a list (the wider categories come first), with null
    for what was not stated. `ratio` is null for a `new` item.
    """
    if by not in KEYS:
        raise Invalid(f"rising by {by}: choose from {', '.join(KEYS)}")
    if not 1 <= days <= _MAX_DAYS:
        raise Invalid(f"rising over {days} days: choose 1 to {_MAX_DAYS}")
    now, before = (period(first, until) for first, until in _halves(last, days))
    values = {"begin": before.begin, "middle": now.begin, "end": now.end, "limit": limit}
    with snapshot(connection) as cursor:
        cursor.execute(QUERIES[by], values)
        rows = cursor.fetchall()
    keys, current, previous = rows[0][3:] if rows else (0, 0, 0)
    return {
        "by": by,
        "current": {"from": now.first.isoformat(), "to": last.isoformat(), "cases": int(current)},
        "previous": {
            "from": before.first.isoformat(),
            "to": before.last.isoformat(),
            "cases": int(previous),
        },
        "keys": keys,
        "items": [_item(*row[:3]) for row in rows],
    }


def _halves(last: date, days: int) -> list[tuple[date, date]]:
    middle = last - timedelta(days=days - 1)
    return [(middle, last), (middle - timedelta(days=days), middle - timedelta(days=1))]


def _item(key: list[str | None], current: int, previous: int) -> dict[str, Any]:
    return {
        "key": key,
        "current": current,
        "previous": previous,
        "difference": current - previous,
        "ratio": round(current / previous, 4) if previous else None,
        "new": not previous,
    }
