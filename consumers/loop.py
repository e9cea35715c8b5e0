"""The consumer 接收循环: topic → ledger and projection → lag.

1. Settle: take the positions of newly held partitions from Postgres.
2. Poll.
3. Decode each record on its own.
4. Apply the batch in one transaction, offsets included.
5. Commit the offsets to Kafka, for lag tools only.

Poison is dead-lettered and passed. While Kafka or Postgres is away the batch in hand is dropped,
the partitions are paused, polling goes on so that the group keeps us, and afterwards positions
come from Postgres again: it alone knows what was applied. Anything else ends the process.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import ExitStack, closing
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata
from kafka import errors as kafka_errors

from cases.nodes import NATIONAL
from cases.topics import consumed_topics
from consumers.applying import apply_batch
from consumers.assignment import Assignment
from consumers.batch import Batch, advances_of, decoded
from consumers.counting import count
from consumers.dead_letters import DeadLetterTopic
from consumers.isolating import apply_isolating
from consumers.lag import Lag
from node import kafka
from node.clock import Clock, now_micros
from node.errors import Fatal, Fenced, Transient
from node.lifecycle import Backoff, Stop, as_transient
from node.metrics import Metrics
from node.postgres import Connection, connect, own_database
from node.settings import Settings

log = logging.getLogger(__name__)

# The broker answers a fetch as soon as there is a record; this is only its longest silence.
_FETCH_WAIT_MS = 100
_POLL_MS = 200
_MEASURE_SECONDS = 2.0
_MEASURE_LIMIT_MS = 3_000
_COMMIT_SECONDS = 1.0


class Consumer:
    """Applies what other nodes sent to this one; a worker for `node.lifecycle`."""

    name = "consumer"

    def __init__(self, settings: Settings, metrics: Metrics, clock: Clock = now_micros) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    def session(self, stop: Stop) -> None:
        """Consume until `stop`; raises `Fatal`, or a Kafka error when no client can be built."""
        with ExitStack() as stack:
            client = kafka.consumer(self._settings, fetch_wait_ms=_FETCH_WAIT_MS)
            stack.callback(client.close, autocommit=False, timeout_ms=2_000)
            dead_letters = stack.enter_context(closing(DeadLetterTopic(self._settings)))
            database = stack.enter_context(closing(_Database(self._settings)))
            turns = _Turns(
                self._settings, self._metrics, self._clock, client, database, dead_letters
            )
            turns.subscribe()
            while not stop.is_set():
                turns.one(stop)
            turns.finish()


class _Database:
    """The consumer's connection: made when needed, thrown away after an error."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self._settings.dsn, "consumer")
            with self._connection, self._connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Turns:
    """One session's state: what is held, what is due, and how long to wait after an error."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        client: KafkaConsumer,
        database: _Database,
        dead_letters: DeadLetterTopic,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._client = client
        self._database = database
        self._dead_letters = dead_letters
        self._assignment = Assignment(client)
        self._lag = Lag(metrics, clock)
        self._backoff = Backoff()
        self._measure_due = self._commit_due = 0.0
        self._rebalances_counted = 0

    def subscribe(self) -> None:
        """Join the group; a province without its topic is a mistake that waiting won't mend."""
        wanted = consumed_topics(self._settings.node)
        existing = kafka.existing_topics(self._settings).intersection(wanted)
        if not existing:
            raise Fatal(f"topic {wanted[0]} is missing: run `petitionlink topics apply`")
        self._metrics.dependency_up.labels("kafka").set(1)
        if self._settings.node == NATIONAL:
            # By pattern: a province that is connected later is read without a restart.
            pattern = "^(" + "|".join(map(re.escape, wanted)) + ")$"
            self._client.subscribe(pattern=pattern, listener=self._assignment)
        else:
            self._client.subscribe(topics=wanted, listener=self._assignment)

    def one(self, stop: Stop) -> None:
        """One turn: settle, poll, apply; an error of the environment costs a pause."""
        try:
            self._settle_if_changed()
            self._poll_and_apply()
            self._backoff.reset()
        except Fenced as error:
            log.warning("%s", error)
            self._metrics.consumer_fenced_transactions.inc()
            self._assignment.unsettle()
        except kafka_errors.OffsetOutOfRangeError as error:
            raise self._gone(error) from error
        except Exception as error:
            self._wait_for(as_transient(error), stop)

    def finish(self) -> None:
        """Tell Kafka where we stopped, so that lag tools agree; failure is harmless."""
        self._commit()

    def _settle_if_changed(self) -> None:
        if not self._assignment.changed:
            return
        self._assignment.settle(self._database.connection())
        self._lag.hold(self._assignment.positions)
        self._measure_due = 0.0
        self._metrics.consumer_rebalances.inc(
            self._assignment.rebalances - self._rebalances_counted
        )
        self._rebalances_counted = self._assignment.rebalances
        self._metrics.dependency_up.labels("postgres").set(1)

    def _poll_and_apply(self) -> None:
        polled = self._client.poll(timeout_ms=_POLL_MS)
        if self._assignment.changed:
            return  # positions come from Postgres again, so nothing is lost by dropping these
        for partition, records in polled.items():
            self._lag.polled(partition, records[0].timestamp)
        if polled:
            self._apply(polled)
        self._measure_if_due()
        self._commit_if_due()

    def _apply(self, polled: dict[Any, list[Any]]) -> None:
        records = [record for several in polled.values() for record in several]
        advances = advances_of(polled, self._assignment.positions)
        apply_isolating(decoded(records, advances), self._apply_once)
        for partition, several in polled.items():
            self._assignment.positions[partition] = several[-1].offset + 1
            self._lag.applied(partition, several[-1].offset + 1, several[-1].timestamp)
            self._measure(partition, self._client.highwater(partition))

    def _apply_once(self, batch: Batch) -> None:
        self._dead_letters.publish(batch.poison)
        connection = self._database.connection()
        with self._metrics.consumer_batch_seconds.time():
            applied = apply_batch(connection, self._settings.node, batch, self._clock())
        self._metrics.consumer_batch_records.observe(len(batch))
        count(self._metrics, batch, applied, self._clock())
        for poison in batch.poison:
            log.warning("dead letter: %s", poison)

    def _measure_if_due(self) -> None:
        """Ask Kafka for the ends: a partition that is not fetched tells nothing by itself."""
        if time.monotonic() < self._measure_due or not self._assignment.positions:
            return
        self._measure_due = time.monotonic() + _MEASURE_SECONDS
        try:
            ends = self._client.end_offsets(
                [*self._assignment.positions], timeout_ms=_MEASURE_LIMIT_MS
            )
        except kafka_errors.KafkaError as error:
            log.warning("Kafka does not tell the end of our partitions: %s", type(error).__name__)
            self._metrics.dependency_up.labels("kafka").set(0)
            return
        self._metrics.dependency_up.labels("kafka").set(1)
        for partition, end in ends.items():
            self._measure(partition, end)

    def _measure(self, partition: Any, end: int | None) -> None:
        if end is not None:
            self._lag.measured(partition, self._assignment.positions[partition], end)

    def _commit_if_due(self) -> None:
        if time.monotonic() >= self._commit_due:
            self._commit_due = time.monotonic() + _COMMIT_SECONDS
            self._commit()

    def _commit(self) -> None:
        offsets = {
            partition: OffsetAndMetadata(offset, "", -1)
            for partition, offset in self._assignment.positions.items()
        }
        if offsets:
            self._client.commit_async(offsets)

    def _wait_for(self, away: Transient, stop: Stop) -> None:
        """Hold still without leaving the group, then take the positions anew."""
        seconds = self._backoff.next_seconds()
        log.warning("consumer: %s; trying again in %.1f s", away, seconds)
        self._metrics.dependency_up.labels(away.dependency).set(0)
        self._database.close()
        self._assignment.unsettle()
        self._client.pause(*self._client.assignment())
        deadline = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < deadline:
            self._client.poll(timeout_ms=50)

    def _gone(self, error: kafka_errors.OffsetOutOfRangeError) -> Fatal:
        first = self._client.beginning_offsets([*self._assignment.positions])
        gone = [
            f"{one.topic} partition {one.partition} offsets {offset} to {first[one] - 1}"
            for one, offset in self._assignment.positions.items()
            if offset < first[one]
        ]
        return Fatal(
            f"records we have not applied are gone from Kafka: {'; '.join(gone) or error}: "
            "have their source send them again, then set the position by hand"
        )
