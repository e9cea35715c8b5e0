"""Tools for tests of routines: cases of the past, events carried over by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from support.world import do, rows

from node.postgres.connection import connected
from node.runtime.settings import Settings
from node.store import row_check as stored
from schemas.event import Event

DAY = timedelta(days=1)


def ago(days: float) -> str:
    """Return the instant `days` before now, in the form that a command takes."""
    return (datetime.now(UTC) - days * DAY).isoformat()


def person(number: int) -> dict[str, str]:
    """Return a made-up petitioner."""
    return {"name": "张示例", "id_type": "resident_id", "id_number": f"00000019000101{number:04d}"}


def registered(settings: Settings, days_ago: float = 1, **given: Any) -> Event:
    """Register a case of the sixth path at the node of `settings`, dated `days_ago` days ago."""
    at = ago(days_ago)
    kind = {"title": "供暖不足", "channel": "web", "petition_class": "claim", "claim_path": "6"}
    return do(settings, "register", **{**kind, "occurred_at": at, "received_at": at, **given}).event


def served(settings: Settings, days_ago: float, **given: Any) -> str:
    """Make a case whose decision was served `days_ago` days ago; return its id."""
    case_id = registered(settings, days_ago + 1, **given).case_id
    for name, more in (
        ("accept", {"unit": "示例单位", "procedure": "ordinary"}),
        ("decide", {"outcome": "supported", "opinion": "予以支持(虚构)"}),
        ("serve", {"method": "online"}),
    ):
        do(settings, name, case_id=case_id, occurred_at=ago(days_ago), **more)
    return case_id


def events_of(settings: Settings, event_type: str) -> list[tuple[Any, ...]]:
    """Case id and body of the events of a type, in the order of their making."""
    query = "select case_id, body from case_event where event_type = %s order by feed_id"
    return rows(settings, query, (event_type,))


def all_events(settings: Settings) -> list[Event]:
    """Return the events of a node's ledger, decoded from their wire bytes, in no order."""
    with connected(settings.dsn, "test") as connection, connection.cursor() as cursor:
        cursor.execute("select case_id from petition_case")
        found = stored.read(cursor, [case_id for (case_id,) in cursor.fetchall()])
    return [one.event for one in found if one.event is not None]
