"""Questions to the indicators in tests."""

from datetime import date, datetime
from typing import Any

from support.facts import SHANGHAI

from node.postgres.connection import connected
from node.queries.figures.indicators import indicators

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)
NOW = datetime(2026, 3, 20, 12, tzinfo=SHANGHAI)
DATES = {"registration": "registered_at", "petition": "received_at", "exchange": "exchanged_at"}


def ask(dsn: str, **more: Any) -> dict[str, Any]:
    with connected(dsn, "test") as connection:
        return indicators(connection, FIRST, LAST, now=NOW, **more)


def pair(found: dict[str, Any], name: str) -> tuple[int, int]:
    return found[name]["numerator"], found[name]["denominator"]
