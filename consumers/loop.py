"""The consumer 接收循环: topic → ledger and projection → lag.

1. Settle: take the positions of newly held partitions from Postgres.
2. Poll.
3. Decode each record on its own, pack what will be copied, precompute the cases.
4. Apply the batch in one transaction, offsets included, while the next one is polled and decoded.
5. Commit the offsets to Kafka, for lag tools only.

Poison is dead-lettered and passed; before it is too much 上限, its partition is stopped, as is any
other that cannot be read on (`consumers.stopping`): the rest flows. While Kafka or Postgres is
away the batches in hand are dropped, the partitions are paused, polling goes on so that the group
keeps us, and afterwards positions come from Postgres again: it alone knows what was applied.
Anything else ends the process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

from kafka import errors as kafka_errors

from cases.topics import consumed_topics
from consumers.assignment import Assignment
from consumers.batch import Advance, Batch, advances_of, next_size
from consumers.batch_applier import BatchApplier
from consumers.dead_letters import DeadLetterTopic
from consumers.membership import join, renamed
from consumers.pipeline import Pipeline
from consumers.ranges import not_authorized
from consumers.reporting import Reporter
from consumers.stopping import UNREADABLE, Board, StopPartition, Stopped
from node import kafka
from node.clock import Clock, now_micros
from node.errors import Fenced, Transient, is_too_slow
from node.kafka import TopicPartition
from node.lifecycle import Backoff, Stop, as_transient
from node.metrics import DEPENDENCIES, Metrics
from node.postgres import Database
from node.record_format import UnreadableBatch
from node.settings import Settings
from node.step_size import StepSize

log = logging.getLogger(__name__)

# The broker answers a fetch as soon as there is a record; this is only its longest silence.
_FETCH_WAIT_MS = 100
_POLL_MS = 200
_JOINS = 4  # thus at most 3.2 s
_HOLD_POLL_MS = 50
_LEAVE_MS = 2_000


class Consumer:
    """Applies what other nodes sent to this one; a worker for `node.lifecycle`."""

    name = "consumer"

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock = now_micros,
        instance: str | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._instance = instance

    def session(self, stop: Stop) -> None:
        """Consume until `stop`; raises `Fatal`, or a Kafka error when the group cannot be joined.

        Postgres may be away: that is waited for inside, without leaving the group.
        """
        try:
            self._consume(stop)
        except kafka_errors.FencedInstanceIdError:
            self._instance = renamed(self._instance)

    def _consume(self, stop: Stop) -> None:
        with ExitStack() as stack:
            client = kafka.consumer(
                self._settings, fetch_wait_ms=_FETCH_WAIT_MS, instance=self._instance
            )
            stack.callback(client.close, autocommit=False, timeout_ms=_LEAVE_MS)
            assignment = Assignment(client)
            database = stack.enter_context(closing(Database(self._settings, "consumer")))
            join(client, self._settings, assignment, database)
            self._metrics.dependency_up.labels("kafka").set(1)
            dead_letters = stack.enter_context(closing(DeadLetterTopic(self._settings)))
            reporter = Reporter(client, assignment, self._metrics, self._clock)
            ahead = stack.enter_context(closing(Database(self._settings, "precompute")))
            applier = BatchApplier(
                self._settings, self._metrics, self._clock, database, dead_letters, ahead
            )
            board = Board(self._metrics, consumed_topics(self._settings.node))
            turns = _Turns(client, assignment, applier, reporter, board, self._metrics)
            stack.callback(turns.close)
            while not stop.is_set():
                turns.one(stop)
            turns.close()
            reporter.commit()


class _Polled(NamedTuple):
    """One poll: its records, the ends of the partitions whose position moves, and the batch.

    A poll without records only passes transaction markers, aborted records and gaps.
    """

    records: Mapping[TopicPartition, Sequence[Any]]
    ends: Mapping[TopicPartition, int | None]
    batch: Batch


class _Turns:
    """Settle, poll, hand over, again and again; and what to do when a turn fails."""

    def __init__(
        self,
        client: Any,
        assignment: Assignment,
        applier: BatchApplier,
        reporter: Reporter,
        board: Board,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._assignment = assignment
        self._applier = applier
        self._reporter = reporter
        self._board = board
        self._metrics = metrics
        self._backoff = Backoff()
        self._pipeline = Pipeline(self._apply)
        self._joins = 0
        self._most = StepSize("consumer", applier.most_records)
        self._applying = 0
        self._size = applier.most_records
        # Where the next poll of each partition begins, ahead of what is applied.
        self._next: dict[TopicPartition, int] = {}

    def one(self, stop: Stop) -> None:
        """One turn; an error of the environment costs a pause, never a record."""
        try:
            self._pipeline.check()
            self._look_again_if_due()
            self._settle_if_changed()
            self._poll_and_hand_over()
            if self._pipeline.idle:
                self._backoff.reset()
        except Fenced as error:
            log.warning("%s", error)
            self._metrics.consumer_fenced_transactions.inc()
            self._assignment.unsettle()
        except StopPartition as error:
            self._assignment.stop([error.stopped])
        except UnreadableBatch as error:
            partition = TopicPartition(error.topic, error.partition)
            self._assignment.stop([Stopped(partition, UNREADABLE, str(error))])
        except kafka_errors.OffsetOutOfRangeError:
            self._assignment.unsettle()  # settling finds out where, and stops it
        except kafka_errors.TopicAuthorizationFailedError as error:
            self._assignment.stop(not_authorized(self._client.assignment(), error))
        except kafka_errors.FencedInstanceIdError:
            self._reporter.forget()
            raise
        except Exception as error:
            self._apply_fewer_if_too_slow(error)
            self._hold(as_transient(error), stop)

    def close(self) -> None:
        """Let the batch that is being applied end; those behind it stay in Kafka."""
        self._pipeline.close()

    def _apply_fewer_if_too_slow(self, error: Exception) -> None:
        tried, self._applying = self._applying, 0
        if tried and is_too_slow(error):
            self._most.too_slow(tried)
            self._size = self._most.now

    def _settle_if_changed(self) -> None:
        if self._assignment.changed:
            self._pipeline.drop()
            self._assignment.settle(self._applier.database.connection())
            # Never of a stopped partition: the client stands after records that were not applied.
            self._next = {**self._assignment.flowing}
            self._metrics.dependency_up.labels("postgres").set(1)
            self._reporter.settled()
            self._board.show(self._assignment.stopped.values())

    def _look_again_if_due(self) -> None:
        if self._board.is_due():
            self._assignment.look_again()

    def _poll_and_hand_over(self) -> None:
        records = self._client.poll(timeout_ms=self._poll_ms(), max_records=self._size)
        if self._assignment.changed:
            return  # positions come from Postgres again, so nothing is lost by dropping these
        advances = advances_of(self._next, kafka.next_offsets(self._client))
        if advances:
            self._hand_over(records, advances)
        if not records:
            self._applier.rest()
        self._reporter.report_if_due()

    def _hand_over(
        self, records: Mapping[TopicPartition, Sequence[Any]], advances: Sequence[Advance]
    ) -> None:
        moved = [TopicPartition(one.topic, one.partition) for one in advances]
        ends = {partition: self._client.highwater(partition) for partition in moved}
        batch = self._decoded(records, advances)
        self._size = next_size(self._most.now, batch)
        self._pipeline.hand_over(_Polled(records, ends, batch))
        for partition, one in zip(moved, advances, strict=True):
            self._next[partition] = one.after

    def _poll_ms(self) -> int:
        """On a busy machine a join takes longer than a poll: then the next one is twice as long."""
        self._joins = min(self._joins + 1, _JOINS) if kafka.keep_joining(self._client) else 0
        return _POLL_MS << self._joins

    def _decoded(
        self, polled: Mapping[TopicPartition, Sequence[Any]], advances: Sequence[Advance]
    ) -> Batch:
        records = [record for several in polled.values() for record in several]
        return self._applier.decoded(records, advances, self._may_come_home)

    def _may_come_home(self, emitter: str) -> bool:
        if emitter != self._applier.node:
            return False
        # Rare, and the connection belongs to the batch that is being applied.
        self._pipeline.drain()
        return self._applier.is_recovering()

    def _apply(self, polled: _Polled) -> None:
        """On the pipeline's thread."""
        self._reporter.begins(polled.records)
        self._applying = len(polled.batch)
        self._applier.apply(polled.batch)
        self._applying = 0
        self._most.succeeded()
        for topic, partition, _, after in polled.batch.advances:
            self._assignment.positions[TopicPartition(topic, partition)] = after
        self._reporter.applied(polled.records, polled.ends)

    def _hold(self, away: Transient, stop: Stop) -> None:
        """Wait without leaving the group; the positions are taken anew afterwards."""
        seconds = self._backoff.next_seconds()
        log.warning("consumer: %s; trying again in %.1f s", away, seconds)
        if away.dependency in DEPENDENCIES:
            self._metrics.dependency_up.labels(away.dependency).set(0)
        self._pipeline.drop()
        self._applier.database.discard()
        self._assignment.unsettle()
        self._client.pause(*self._client.assignment())
        deadline = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < deadline:
            kafka.keep_joining(self._client)
            self._client.poll(timeout_ms=_HOLD_POLL_MS)
