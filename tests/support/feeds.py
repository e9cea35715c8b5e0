"""A reader of the feed, as a province's own system is one."""

import itertools
from contextlib import closing

from support.world import event

from node.entrypoints.web import cursors
from node.postgres.connection import connect
from node.queries.database_history import FeedPlace
from node.queries.feed import read_feed
from node.runtime.settings import Settings
from node.store import events
from node.store.write_events import pack

_LIMIT = 7
_number = itertools.count(1)


class Reader:
    """Reads from where it was, keeps ids, and gives its place back as a client does: as text."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.restored = 0
        self._cursor: str | None = None

    def read(self, settings: Settings) -> list[str]:
        """Read to the end; the ids that came, in order. Raises what `read_feed` raises."""
        found: list[str] = []
        with closing(connect(settings.dsn, "test")) as connection:
            while True:
                after = FeedPlace()
                if self._cursor is not None:
                    after = cursors.feed_place(settings.node, self._cursor)
                page = read_feed(connection, after, _LIMIT)
                self._cursor = cursors.feed_cursor(settings.node, page.end)
                self.restored += page.restored
                if not page.rows:
                    self.seen += found
                    return found
                found += [row["event_id"] for row in page.rows]


def write_events(settings: Settings, number: int) -> list[str]:
    """Write `number` events, a transaction each, as a consumer does; return their ids."""
    written = []
    with closing(connect(settings.dsn, "test")) as connection:
        for _ in range(number):
            one = event(f"110000-20260401-{next(_number):08}")
            with connection, connection.cursor() as cursor:
                events.write(cursor, pack([events.Entry(one, events.body_json(one.body))]))
            written.append(one.event_id)
    return written
