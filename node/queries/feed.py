"""The feed 事件流水: events in the order in which this node committed them; a case's events.

A transaction that takes long may commit behind a later one. A reader that remembers "the last
row I saw" would then miss its events for ever. So the order is (transaction, row), and the feed
ends before the oldest transaction that still runs: nothing can appear before its end any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from psycopg2.extras import RealDictCursor

from node.postgres import Connection

_COLUMNS = """
    event_id::text, event_type, case_id, version, emitter, emitter_sequence, occurred_at,
    recorded_at, exchanged_at, actor, rule_set, traceparent, body
"""
_FEED = (
    "select applied_xid::text::numeric as transaction, feed_id as row, "
    + _COLUMNS
    + """
    from case_event
    where (applied_xid, feed_id) > (%(transaction)s::text::xid8, %(row)s)
      and applied_xid < pg_snapshot_xmin(pg_current_snapshot())
    order by applied_xid, feed_id limit %(limit)s
"""
)
_OF_CASE = (
    "select "
    + _COLUMNS
    + """
    from case_event
    where case_id = %(case_id)s
      and (version, emitter, case_event.event_id) > (%(version)s, %(emitter)s, %(event_id)s::uuid)
    order by version, emitter, case_event.event_id limit %(limit)s
"""
)


class FeedPlace(NamedTuple):
    """The event behind which the feed is read on: its transaction and its row."""

    transaction: int = 0
    row: int = 0


class EventPlace(NamedTuple):
    """The event behind which a case's events are read on, in fold order."""

    version: int = 0
    emitter: str = ""
    event_id: str = "00000000-0000-0000-0000-000000000000"


def read_feed(
    connection: Connection, after: FeedPlace, limit: int
) -> tuple[list[dict[str, Any]], FeedPlace]:
    """At most `limit` events behind `after`, and the place behind the last of them.

    The place is `after` itself while there is nothing new: ask again with it.
    """
    rows = _rows(connection, _FEED, {**after._asdict(), "limit": limit})
    for row in rows:
        after = FeedPlace(int(row.pop("transaction")), row.pop("row"))
    return rows, after


def read_case_events(
    connection: Connection, case_id: str, after: EventPlace, limit: int
) -> list[dict[str, Any]]:
    """At most `limit` events of a case behind `after`, in the order in which they are folded."""
    return _rows(connection, _OF_CASE, {"case_id": case_id, **after._asdict(), "limit": limit})


def _rows(connection: Connection, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(query, values)
        return [dict(row) for row in cursor]
