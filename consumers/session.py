"""The session of a consumer 接收循环: it applies the events of other nodes to this one.

Each turn:

1. Settle: take the offsets of newly assigned partitions from Postgres.
2. Poll.
3. Decode each record by itself, prepare it for the ledger, precompute the cases.
4. Submit the batch: it is applied in one transaction, offsets included, on a thread of its own,
   while the next batch is polled and decoded.
5. Commit the offsets to Kafka, for lag tools only.

Poison is dead-lettered and passed. Before it exceeds a limit 上限 its partition is stopped, as is
any other that cannot be read on (`consumers.stopped_partitions`); the other partitions go on. While
Kafka or Postgres is away, the batches in memory are dropped and the partitions paused. Polling
continues, so that the group keeps this member; afterwards the offsets come from Postgres again,
because only Postgres knows what was applied. Any other error ends the process.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Any

from kafka import KafkaConsumer
from kafka import errors as kafka_errors

from cases.nodes import NATIONAL
from consumers import stopped_partitions
from consumers.apply_batch import BatchApplier
from consumers.batch import Batch, Polled, next_size, offset_ranges
from consumers.bisect import apply_bisecting
from consumers.decode import ReadContext, decode_batch
from consumers.group_membership import Assignment
from consumers.lag import LagReporter
from consumers.policy import ConsumerPolicy
from consumers.stopped_partitions import StopPartition, StoppedReporter
from node.kafka import library_patches
from node.kafka.clients import TopicPartition
from node.kafka.record_reader import UnreadableBatch
from node.kafka.topic_names import consumed_topics
from node.postgres.connection import Database
from node.recovery.flag import is_recovering
from node.runtime.adaptive_batch import StepSize
from node.runtime.errors import Fenced, Transient, is_too_slow
from node.runtime.metrics import DEPENDENCIES, Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Backoff, Stop, as_transient
from node.store.precompute import Precompute
from schemas.instants import Clock

log = logging.getLogger(__name__)


class ConsumerSession:
    """Settles, polls, decodes and submits in turns, from joining the group until leaving it.

    Of its two connections to Postgres, `database` belongs to the batch that is being applied,
    `reads` to the thread that makes the next one.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        policy: ConsumerPolicy,
        client: KafkaConsumer,
        assignment: Assignment,
        database: Database,
        reads: Database,
        applier: BatchApplier,
    ) -> None:
        self._node = settings.node
        self._metrics = metrics
        self._clock = clock
        self._policy = policy
        self._client = client
        self._assignment = assignment
        self._database = database
        self._reads = reads
        self._applier = applier
        self._precompute = Precompute(settings.node, reads)
        self._lag = LagReporter(client, assignment, metrics, clock, policy)
        self._stopped = StoppedReporter(metrics, consumed_topics(settings.node), policy)
        self._backoff = Backoff()
        self._applying: _Applying | None = None
        self._step = StepSize("consumer", settings.batch_records)
        self._size = settings.batch_records
        self._poll_doublings = 0
        # Where the next poll of each partition begins, ahead of what is applied.
        self._next_offsets: dict[TopicPartition, int] = {}

    def run(self, stop: Stop) -> None:
        """Run turns until `stop`; let the batch that is being applied end."""
        while not stop.is_set():
            self.run_once(stop)
        self.drop()
        self._lag.commit()

    def run_once(self, stop: Stop) -> None:
        """Run one turn; an error of the environment costs a pause, never a record."""
        try:
            self._raise_failure()
            self._settle_if_needed()
            polled = self.poll()
            if polled is not None:
                if polled.ranges:
                    self.submit(polled, self.decode(polled))
                if not polled.records:
                    self._precompute.forget()
                self._lag.report_if_due()
            if self._is_idle():
                self._backoff.reset()
        except Exception as error:
            self._handle(error, stop)

    def poll(self) -> Polled | None:
        """Poll once; None if the assignment changed meanwhile.

        What was polled is dropped then: the offsets come from Postgres again, so nothing is lost.
        """
        most = min(self._size, self._step.now)
        records = self._client.poll(timeout_ms=self._poll_ms(), max_records=most)
        if self._assignment.changed:
            return None
        ranges = offset_ranges(self._next_offsets, library_patches.next_offsets(self._client))
        moved = [moved_range.topic_partition for moved_range in ranges]
        ends = {partition: self._client.highwater(partition) for partition in moved}
        return Polled(records, ranges, ends)

    def decode(self, polled: Polled) -> Batch:
        """Decode the records and compute the changes of their cases."""
        records = [*chain.from_iterable(polled.records.values())]
        # Asked once for a batch, and only if it has an own event.
        context = ReadContext(self._node, self._clock(), cache(self._is_recovering))
        batch = decode_batch(records, polled.ranges, context)
        events = [decoded.event for decoded in batch.records]
        return batch.with_precomputed(self._precompute.batch(events, batch.read_at))

    def submit(self, polled: Polled, batch: Batch) -> None:
        """Apply `batch` on a thread of its own, after the one before it.

        Raises the error of the one before; then `batch` is dropped.
        """
        self._wait()
        self._raise_failure()
        self._applying = _Applying(self.apply, polled, batch)
        self._size = next_size(self._step.now, batch, self._policy.most_cases)
        self._next_offsets |= {moved.topic_partition: moved.after for moved in polled.ranges}

    def apply(self, polled: Polled, batch: Batch) -> None:
        """Apply a batch, on its own thread; dead-letter a record that only Postgres refuses."""
        self._lag.begin(polled)
        try:
            apply_bisecting(batch, self._applier.apply)
        except Exception as error:
            if len(batch) and is_too_slow(error):
                self._step.too_slow(len(batch))
            raise
        self._step.succeeded()
        self._assignment.advance(polled.ranges)
        self._lag.applied(polled)

    def drop(self) -> None:
        """Wait for the batch that is being applied; forget its error and what was precomputed.

        Call it before the offsets are taken from Postgres again. Later batches stay in Kafka.
        """
        self._wait()
        self._applying = None
        self._precompute.forget()

    def _wait(self) -> None:
        if self._applying is not None:
            self._applying.join()

    def _raise_failure(self) -> None:
        """Raise the error of the last batch once, if it failed."""
        last = self._applying
        if last is not None and not last.is_alive():
            self._applying = None
            if last.error is not None:
                raise last.error

    def _is_idle(self) -> bool:
        last = self._applying
        return last is None or (not last.is_alive() and last.error is None)

    def _settle_if_needed(self) -> None:
        if self._stopped.is_recheck_due():
            self._assignment.recheck_stopped()
        if self._assignment.changed:
            self.drop()
            self._assignment.settle(self._database.connection())
            # Without stopped partitions: the client has passed records that were not applied.
            self._next_offsets = {**self._assignment.flowing}
            self._metrics.dependency_up.labels("postgres").set(1)
            self._lag.settled()
            self._stopped.report(self._assignment.stopped.values())

    def _poll_ms(self) -> int:
        """Return the time of the next poll, doubled while a join takes longer than a poll."""
        joining = library_patches.keep_joining(self._client)
        most = self._policy.poll_doublings
        self._poll_doublings = min(self._poll_doublings + 1, most) if joining else 0
        return self._policy.poll_ms << self._poll_doublings

    def _is_recovering(self) -> bool:
        """Return whether own events are accepted from uplinks, which only the centre reads."""
        if self._node != NATIONAL:
            return False
        connection = self._reads.connection()
        with connection, connection.cursor() as cursor:
            return is_recovering(cursor)

    def _handle(self, error: Exception, stop: Stop) -> None:
        """Continue after `error`, or raise it if this session cannot."""
        match error:
            case Fenced():
                log.warning("%s", error)
                self._metrics.consumer_fenced_transactions.inc()
                self._assignment.unsettle()
            case StopPartition():
                self._assignment.stop([error.stopped])
            case UnreadableBatch():
                partition = TopicPartition(error.topic, error.partition)
                stopped = stopped_partitions.Stopped(
                    partition, stopped_partitions.UNREADABLE, str(error)
                )
                self._assignment.stop([stopped])
            case kafka_errors.OffsetOutOfRangeError():
                self._assignment.unsettle()  # `settle` finds the partition and stops it
            case kafka_errors.TopicAuthorizationFailedError():
                held = self._client.assignment()
                self._assignment.stop(stopped_partitions.not_authorized(held, error))
            case kafka_errors.FencedInstanceIdError():
                self._lag.forget()
                raise error
            case _:
                self._pause(as_transient(error), stop)

    def _pause(self, away: Transient, stop: Stop) -> None:
        """Wait without leaving the group; the offsets come from Postgres again afterwards."""
        seconds = self._backoff.next_seconds()
        log.warning("consumer: %s; trying again in %.1f s", away, seconds)
        if away.dependency in DEPENDENCIES:
            self._metrics.dependency_up.labels(away.dependency).set(0)
        self.drop()
        self._database.discard()
        self._reads.discard()
        self._assignment.unsettle()
        self._client.pause(*self._client.assignment())
        deadline = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < deadline:
            library_patches.keep_joining(self._client)
            self._client.poll(timeout_ms=self._policy.pause_poll_ms)


class _Applying(threading.Thread):
    """The thread that applies a batch; `error` is the exception that this raised.

    It is a daemon, so that it does not keep a process from ending (ADR 32).
    """

    def __init__(self, apply: Callable[..., None], *given: Any) -> None:
        super().__init__(target=apply, name="applying", args=given, daemon=True)
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            super().run()
        except BaseException as error:
            self.error = error
