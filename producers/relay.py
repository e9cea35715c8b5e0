"""The relay 中继: outbox → Kafka, acknowledged, then marked.

0. Look behind what the database knows of a topic: after a backup was put back, own events stand
   there that it lacks (`node.homecoming`).
1. Take committed rows of the topics that this relay holds, as many as the rate allows: urgent ones
   first, then in the order of their ids.
2. Send them with the idempotent producer, the urgent lane apart and first; the key keeps a case in
   one partition.
3. Wait until the broker has acknowledged or refused each.
4. Mark what was acknowledged, but nothing of a case behind its first failure.

A crash between 3 and 4 publishes twice; the ledger at the other end is a set. Ids are given
before commit, so a lower id may appear later: it is simply taken later. It never belongs to a
case of which a higher one was taken, because writers hold the case's row until they commit; nor
does an urgent row, because they promote what waits of a case with it (`node.outbox`).
One relay per topic: the advisory lock lives and dies with the connection that also marks.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from contextlib import closing

from node.homecoming import bring_home
from node.lifecycle import Stop
from node.metrics import Metrics
from node.outbox import NOTIFY_CHANNEL
from node.postgres import Connection, connect, own_database
from node.settings import Settings
from producers.claims import Claims
from producers.pacing import Pace, Rate, rest_seconds
from producers.pending import prepare
from producers.publishing import Publisher, TopicsRefused
from producers.turns import Turns

# The net below LISTEN/NOTIFY: a notification lost with a connection costs this much.
_POLL_SECONDS = 0.5
# About 2 MB of events at a time, shared among the destinations; as many are taken ahead.
_ROWS_PER_TAKE = 2000
_LEAST_ROWS_PER_TOPIC = 200


class Relay:
    """Publishes the outbox of one node; a worker for `node.lifecycle`."""

    name = "relay"

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._pace = Pace(Rate(settings.relay_records_per_second))
        self._refused: frozenset[str] = frozenset()

    def session(self, stop: Stop) -> None:
        """Publish until `stop`, on one connection and one producer."""
        with closing(connect(self._settings.dsn, "relay")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
                prepare(cursor)
                cursor.execute(f"listen {NOTIFY_CHANNEL}")
            with closing(Publisher(self._settings)) as publisher:
                try:
                    self._publish_until(stop, connection, publisher)
                except TopicsRefused as error:
                    self._refused = frozenset(error.topics)
                    raise

    def _publish_until(self, stop: Stop, connection: Connection, publisher: Publisher) -> None:
        claims = Claims(connection, self._settings, self._metrics, self._refused)
        self._refused = frozenset()
        with Turns(connection, publisher, self._metrics) as turns:
            while not stop.wait(self._pace.wait_seconds()):
                for topics in claims.renew_if_due():
                    bring_home(self._settings, topics)
                began = time.monotonic()
                sent = self._publish_some(turns, claims.held)
                if sent:
                    stop.wait(rest_seconds(sent, time.monotonic() - began))
                else:
                    _wait_for_notification(connection)

    def _publish_some(self, turns: Turns, topics: Sequence[str]) -> int:
        """Take, send and mark; how many rows."""
        of_each = max(_ROWS_PER_TAKE // max(len(topics), 1), _LEAST_ROWS_PER_TOPIC)
        allowed = self._pace.allowed(of_each * len(topics))
        pending = turns.taken(topics, min(of_each, allowed), allowed)
        self._pace.spend(len(pending))
        if pending:
            turns.publish(pending, topics, 0 if self._pace.limited else of_each)
        return len(pending)


def _wait_for_notification(connection: Connection) -> None:
    select.select([connection], [], [], _POLL_SECONDS)
    connection.poll()
    connection.notifies.clear()
