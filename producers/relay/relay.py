"""The relay 中继 publishes the outbox to Kafka and marks what was acknowledged.

0. Read each topic after the end that the database knows: after a backup was restored, it may have
   own events that the database lacks (`node.recovery.own_events`). A topic that cannot be read to
   its end because another producer's transaction is open waits, and all others are published. When
   all are read, commands are accepted (`node.store.command_gate`). If a topic was deleted and
   recreated, rows that the receiver has not confirmed are pending again
   (`producers.relay.recreated_topics`).
1. Take committed rows of the topics that this relay holds, as many as the rate allows: urgent ones
   first, then in the order of their ids.
2. Send them with the idempotent producer, the urgent lane apart and first; the key keeps a case in
   one partition.
3. Wait until the broker has acknowledged or refused each.
4. Mark what was acknowledged, but nothing of a case after its first failure.

A crash between 3 and 4 publishes twice; the ledger at the other end is a set. Ids are given
before commit, so a lower id may appear later: it is simply taken later. It never belongs to a
case of which a higher one was taken, because writers hold the case's row until they commit; nor
does an urgent row, because with it the pending rows of its case become urgent
(`node.store.outbox`).
One relay per topic: the advisory lock lives and dies with the connection that also marks.
"""

import select
import time
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from node.kafka.silence import HeldUp
from node.postgres.connection import Connection, connect, own_database
from node.postgres.synchronous_standby import refuse_while_unconfirmed
from node.recovery.own_events import bring_home
from node.recovery.own_topics import SETTLE_SECONDS, trusting_if_kafka_is_away
from node.runtime.adaptive_batch import StepSize
from node.runtime.errors import is_too_slow
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from node.store.outbox import NOTIFY_CHANNEL
from producers.relay import recreated_topics
from producers.relay.outbox_reader import prepare
from producers.relay.own_topic import OwnTopic
from producers.relay.publisher import FLUSH_SECONDS, Publisher, TopicsRefused
from producers.relay.rate_limit import Rate, RateLimiter, rest_seconds
from producers.relay.recreated_topics import Ids
from producers.relay.send_loop import ROWS_IN_FLIGHT, SendLoop
from producers.relay.topic_locks import TopicLocks


class RelayPolicy(NamedTuple):
    """The tunables of a relay 中继参数."""

    # A notification that was lost with a connection delays its row by this much.
    poll_seconds: float = 0.5
    # About 2 MB of events at a time, shared among the destinations; as many are taken ahead.
    rows_per_take: int = 2000
    least_rows_per_topic: int = 200
    # Fewer rows are sent by the relay's own thread, and none are taken ahead.
    rows_in_flight: int = ROWS_IN_FLIGHT
    flush_seconds: float = FLUSH_SECONDS


DEFAULT_POLICY = RelayPolicy()


class Relay:
    """The publisher of the outbox of one node; a worker for `node.runtime.supervisor`."""

    name = "relay"

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        settle_seconds: float = SETTLE_SECONDS,
        policy: RelayPolicy = DEFAULT_POLICY,
    ) -> None:
        self._settings = settings
        self._settle_seconds = settle_seconds
        self._metrics = metrics
        self._policy = policy
        self._limiter = RateLimiter(Rate(settings.relay_records_per_second))
        self._rows = StepSize("relay", policy.rows_per_take)
        self._refused: frozenset[str] = frozenset()

    def session(self, stop: Stop) -> None:
        """Publish until `stop`, on one connection and one producer."""
        with closing(connect(self._settings.dsn, "relay")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
                refuse_while_unconfirmed(cursor)
                prepare(cursor)
                cursor.execute(f"listen {NOTIFY_CHANNEL}")
            with (
                trusting_if_kafka_is_away(connection),
                closing(Publisher(self._settings, self._policy.flush_seconds)) as publisher,
            ):
                try:
                    self._publish_until(stop, connection, publisher)
                except TopicsRefused as error:
                    self._refused = frozenset(error.topics)
                    raise

    def _publish_until(self, stop: Stop, connection: Connection, publisher: Publisher) -> None:
        locks = TopicLocks(connection, self._settings, self._metrics, self._refused)
        self._refused = frozenset()
        ids: Ids = {}
        recovery = OwnTopic(connection, self._settings, self._settle_seconds)
        in_flight = self._policy.rows_in_flight
        with SendLoop(connection, publisher, self._metrics, in_flight) as loop:
            while not stop.wait(self._limiter.wait_seconds()):
                for topics in locks.renew_if_due():
                    ids |= _noted_ids(connection, publisher, topics)
                    home = self._read_to_the_end(topics, locks, stop)
                    if stop.is_set():
                        return  # the look may not have ended, so nothing may be published
                    recovery.gained(home)
                recovery.step(stop)
                recreated_topics.check_same(ids, publisher.topic_ids(ids))
                began = time.monotonic()
                sent = self._publish_in_time(loop, locks.held)
                if sent:
                    stop.wait(rest_seconds(sent, time.monotonic() - began))
                else:
                    _wait_for_notification(connection, self._policy.poll_seconds)

    def _read_to_the_end(self, topics: list[str], locks: TopicLocks, stop: Stop) -> list[str]:
        """Read own events back from these topics; return those that were read to their end."""
        try:
            bring_home(self._settings, topics, stop, waits=False)
        except HeldUp as error:
            locks.hold_up(error.reasons)
            return [topic for topic in topics if topic not in error.reasons]
        return topics

    def _publish_in_time(self, loop: SendLoop, topics: Sequence[str]) -> int:
        """Do as `_publish_some`; after a timeout of Postgres the next session takes less."""
        try:
            sent = self._publish_some(loop, topics)
        except Exception as error:
            if is_too_slow(error):
                self._rows.too_slow(self._rows.now)
            raise
        self._rows.succeeded()
        return sent

    def _publish_some(self, loop: SendLoop, topics: Sequence[str]) -> int:
        """Take, send and mark; return the number of rows."""
        rows = self._rows.now
        of_each = max(rows // max(len(topics), 1), min(self._policy.least_rows_per_topic, rows))
        allowed = self._limiter.allowed(of_each * len(topics))
        if rows < self._policy.rows_per_take:
            allowed = min(allowed, rows)
        pending = loop.taken(topics, min(of_each, allowed), allowed)
        self._limiter.spend(len(pending))
        if pending:
            loop.publish(pending, topics, 0 if self._is_limited else of_each)
        return len(pending)

    @property
    def _is_limited(self) -> bool:
        """Return whether nothing may be taken ahead."""
        return self._limiter.limited or self._rows.now < self._policy.rows_per_take


def _noted_ids(connection: Connection, publisher: Publisher, topics: Sequence[str]) -> Ids:
    publisher.load_metadata(topics)
    ids = publisher.topic_ids(topics)
    recreated_topics.publish_again(connection, ids)
    return ids


def _wait_for_notification(connection: Connection, seconds: float) -> None:
    select.select([connection], [], [], seconds)
    connection.poll()
    connection.notifies.clear()
