"""The feed 事件流水: events in the order in which this node committed them; a case's events.

A long transaction may commit after a later one, and a reader that remembers the last row would miss
its events. So the order is (transaction, row), and the feed ends before the oldest transaction that
still runs: nothing can appear before its end any more. A restored database gives the same numbers
to other events; `database_history` finds where to go on there.
"""

from typing import Any, NamedTuple

from node.postgres.connection import Connection, Cursor
from node.postgres.snapshot import snapshot
from node.postgres.statements import query_rows, read_rows
from node.queries.database_history import DatabaseHistory, FeedPlace, is_standby, read_history
from node.runtime.errors import Transient

_COLUMNS = """
    event_id::text, event_type, case_id, version, emitter, emitter_sequence, occurred_at,
    recorded_at, exchanged_at, actor, rule_set, traceparent, body
"""
_FEED = f"""
    select applied_xid::text::numeric as transaction, feed_id as row, {_COLUMNS}
    from case_event
    where (applied_xid, feed_id) > (%(transaction)s::text::xid8, %(row)s)
      and feed_id >= %(first_row)s and """
_ORDER = " order by applied_xid, feed_id limit %(limit)s"
# All transactions of an earlier generation have ended.
_ENDED = (
    _FEED + "feed_id < %(end_row)s and applied_xid <= %(last_transaction)s::text::xid8" + _ORDER
)
_RUNNING = _FEED + "applied_xid < pg_snapshot_xmin(pg_current_snapshot())" + _ORDER
_OF_CASE = f"""
    select {_COLUMNS} from case_event
    where case_id = %(case_id)s
      and (version, emitter, case_event.event_id) > (%(version)s, %(emitter)s, %(event_id)s::uuid)
    order by version, emitter, case_event.event_id limit %(limit)s
"""


class Page(NamedTuple):
    """Events of the feed, and the place after the last of them.

    If `restored`, the database was restored since the reader was here, and the feed goes on from
    the last event that is known to be common. The reader may have seen some of these events.
    """

    rows: list[dict[str, Any]]
    end: FeedPlace
    restored: bool = False


class EventPlace(NamedTuple):
    """The event after which a case's events are read on, in fold order."""

    version: int = 0
    emitter: str = ""
    event_id: str = "00000000-0000-0000-0000-000000000000"


def read_feed(connection: Connection, after: FeedPlace, limit: int) -> Page:
    """Return at most `limit` events after `after`, which is the end while there is nothing new.

    Raises `UnknownHistory` if `after` was made in another database, and `Transient` while a
    restarted Postgres is read-only and cannot record its new epoch.
    """
    for _ in range(2):
        with snapshot(connection) as cursor:
            history = read_history(cursor)
            if history.is_up_to_date or is_standby(cursor):
                return _read(cursor, history, after, limit)
        with connection, connection.cursor() as cursor:
            cursor.execute("select note_feed_epoch()")
    raise Transient("the feed waits until the database can be written to")


def _read(cursor: Cursor, history: DatabaseHistory, after: FeedPlace, limit: int) -> Page:
    place = history.resume(after)
    restored = place.position != after.position
    events: list[dict[str, Any]] = []
    for part in history.parts(place):
        query = _RUNNING if part.end_row is None else _ENDED
        transaction, row = part.after
        bounds = {"transaction": transaction, "row": row, "limit": limit - len(events)}
        for event in read_rows(cursor, query, {**bounds, **part._asdict()}):
            place = place._replace(
                generation=part.generation,
                transaction=int(event.pop("transaction")),
                row=event.pop("row"),
            )
            events.append(event)
        if len(events) == limit:
            break
    return Page(events, place, restored)


def read_case_events(
    connection: Connection, case_id: str, after: EventPlace, limit: int
) -> list[dict[str, Any]]:
    """Return at most `limit` events of a case after `after`, in fold order."""
    return query_rows(connection, _OF_CASE, {"case_id": case_id, **after._asdict(), "limit": limit})
