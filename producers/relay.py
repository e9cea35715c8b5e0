"""The relay 中继: outbox → Kafka, acknowledged, then marked.

1. Take every committed row of the topics that this relay holds, in the order of their ids.
2. Send them with the idempotent producer; the key keeps a case in one partition.
3. Wait until the broker has acknowledged or refused each.
4. Mark what was acknowledged, but nothing of a case behind its first failure.

A crash between 3 and 4 publishes twice; the ledger at the other end is a set. Ids are given
before commit, so a lower id may appear later: it is simply taken later. It never belongs to a
case of which a higher one was taken, because writers hold the case's row until they commit.
One relay per topic: the advisory lock lives and dies with the connection that also marks.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

from kafka import KafkaProducer

from cases.topics import produced_topics
from node import kafka
from node.errors import Fatal, Transient, classified
from node.lifecycle import Stop
from node.metrics import Metrics
from node.outbox import NOTIFY_CHANNEL
from node.postgres import Connection, connect, own_database
from node.settings import Settings
from producers.pending import Pending, Published, mark, take

log = logging.getLogger(__name__)

# The net below LISTEN/NOTIFY: a notification lost with a connection costs this much.
_POLL_SECONDS = 0.5
# Topics that another relay held or that did not exist are tried again.
_CLAIM_SECONDS = 5.0
_LOCK_CLASS = 0x0072656C  # any number of our own: separates our advisory locks from others
_ROWS_PER_TAKE = 4000
_LEAST_ROWS_PER_TOPIC = 200
_FLUSH_SECONDS = 40.0


class Relay:
    """Publishes the outbox of one node; a worker for `node.lifecycle`."""

    name = "relay"

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics

    def session(self, stop: Stop) -> None:
        """Publish until `stop`, on one connection and one producer."""
        with closing(connect(self._settings.dsn, "relay")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
                cursor.execute(f"listen {NOTIFY_CHANNEL}")
            with closing(_Publisher(self._settings)) as publisher:
                self._publish_until(stop, connection, publisher)

    def _publish_until(self, stop: Stop, connection: Connection, publisher: _Publisher) -> None:
        claims = Claims(connection, self._settings)
        while not stop.is_set():
            claims.renew_if_due()
            if not self._publish_some(connection, publisher, claims.held):
                _wait_for_notification(connection)

    def _publish_some(
        self, connection: Connection, publisher: _Publisher, topics: Sequence[str]
    ) -> int:
        limit = max(_ROWS_PER_TAKE // max(len(topics), 1), _LEAST_ROWS_PER_TOPIC)
        pending = take(connection, topics, limit)
        if not pending:
            return 0
        published, failure = publisher.publish(pending)
        mark(connection, published)
        self._count(pending, published)
        if failure is not None:
            raise failure
        self._metrics.dependency_up.labels("kafka").set(1)
        return len(published)

    def _count(self, pending: Sequence[Pending], published: Sequence[Published]) -> None:
        acknowledged = {row.id for row in published}
        for row in pending:
            result = "acknowledged" if row.id in acknowledged else "failed"
            self._metrics.outbox_published.labels(row.topic, result).inc()
        if len(acknowledged) < len(pending):
            self._metrics.dependency_up.labels("kafka").set(0)


class Claims:
    """The topics that this relay holds, by one advisory lock each."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._due = 0.0
        self.held: list[str] = []

    def renew_if_due(self) -> None:
        """Try for the topics not yet held, every few seconds; blocks while Kafka answers."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _CLAIM_SECONDS
        wanted = [t for t in produced_topics(self._settings.node) if t not in self.held]
        if wanted:
            existing = kafka.existing_topics(self._settings)
            self._claim([topic for topic in wanted if topic in existing])
            self._complain_if_none(wanted, existing)

    def _claim(self, topics: Iterable[str]) -> None:
        with self._connection.cursor() as cursor:
            for topic in topics:
                cursor.execute(
                    "select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK_CLASS, topic)
                )
                row = cursor.fetchone()
                if row is not None and row[0]:
                    self.held.append(topic)

    def _complain_if_none(self, wanted: Sequence[str], existing: set[str]) -> None:
        if not self.held and not existing.intersection(wanted):
            raise Fatal(f"topic {wanted[0]} is missing: run `petitionlink topics apply`")


class _Publisher:
    """One producer for one session; after a failure it is closed and never used again."""

    def __init__(self, settings: Settings) -> None:
        self._producer: KafkaProducer = kafka.producer(settings, "relay")

    def publish(
        self, pending: Sequence[Pending]
    ) -> tuple[list[Published], Transient | Fatal | None]:
        """Send and wait: the acknowledged rows that may be marked, and the first failure."""
        futures = [self._send(row) for row in pending]
        try:
            self._producer.flush(timeout=_FLUSH_SECONDS)
        except Exception as error:  # told apart below; each future knows its own outcome
            log.debug("flush: %s", error)
        return _outcomes(pending, futures)

    def _send(self, row: Pending) -> Any:
        try:
            return self._producer.send(row.topic, row.value, row.key, row.headers)
        except Exception as error:
            return _Refused(error)

    def close(self) -> None:
        self._producer.close(timeout=1)


class _Refused:
    """Stands where a future would, for a record that could not even be queued."""

    is_done = True
    value = None

    def __init__(self, exception: Exception) -> None:
        self.exception = exception


def _outcomes(
    pending: Sequence[Pending], futures: Sequence[Any]
) -> tuple[list[Published], Transient | Fatal | None]:
    published: list[Published] = []
    failed_cases: set[str] = set()
    failure: Exception | None = None
    for row, future in zip(pending, futures, strict=True):
        if future.is_done and future.exception is None and row.case_id not in failed_cases:
            published.append(Published(row.id, future.value.partition, future.value.offset))
            continue
        failed_cases.add(row.case_id)
        failure = failure or future.exception or Transient("Kafka did not answer in time", "kafka")
    return published, None if failure is None else _explained(failure)


def _explained(failure: Exception) -> Transient | Fatal:
    if isinstance(failure, Transient | Fatal):
        return failure
    return classified(failure) or Transient(f"{type(failure).__name__}: {failure}", "kafka")


def _wait_for_notification(connection: Connection) -> None:
    select.select([connection], [], [], _POLL_SECONDS)
    connection.poll()
    connection.notifies.clear()
