"""Publishing 发布: one batch of outbox rows to Kafka, and what became of each."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, TopicAuthorizationFailedError

from node.kafka import clients, library_patches
from node.runtime.errors import Fatal, Transient, classified
from node.runtime.settings import Settings
from producers.relay.outbox_reader import Pending, Published

log = logging.getLogger(__name__)

# Longer than the producer's own delivery timeout, so that every future has its outcome.
FLUSH_SECONDS = 40.0
# A failure ends the session: what has no outcome so long after it is given up and sent again. The
# library waits for one batch after the other, and some of those that were on their way when the
# broker went away never end: the relay stood still for half a minute behind the broker's return.
_LOOK_SECONDS = 1.0
_CLOSE_SECONDS = 1.0
# Lets a batch fill up while rows are handed over; the flush behind them waits for nothing.
_LINGER_MS = 20

# Nothing acknowledged for so long: perhaps a topic is gone, which only the cluster's list tells.
_SUSPICIOUS_SECONDS = 3.0
_GONE = "does not exist any more: run `petitionlink topics apply`"
_NOT_ALLOWED = "may not be written by this node: see its ACL in Kafka"

Failure = Transient | Fatal


class TopicsRefused(Transient):
    """These topics take nothing now; all others do, and go on without them."""

    def __init__(self, topics: Iterable[str], why: str) -> None:
        self.topics = sorted(topics)
        names = ", ".join(self.topics)
        super().__init__(
            f"topic {names} {why}; its outbox waits, all others are published", "kafka"
        )


class Publisher:
    """One producer for one session; after a failure it is closed and never used again.

    Closing it is what keeps the order: whatever was in flight behind the failed record is sent
    again behind it by the next one.
    """

    def __init__(self, settings: Settings, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._settings = settings
        self._flush_seconds = flush_seconds
        self._producer: KafkaProducer = clients.producer(settings, "relay", linger_ms=_LINGER_MS)

    def publish(self, pending: Sequence[Pending]) -> tuple[list[Published], Failure | None]:
        """Send and wait: the acknowledged rows that may be marked, and the first failure."""
        futures = self._sent(pending)
        gone = self._await(futures, {row.topic for row in pending})
        published, failure = outcomes(pending, futures)
        return published, TopicsRefused(gone, _GONE) if gone else failure

    def _await(self, futures: Sequence[Any], topics: set[str]) -> set[str]:
        """Wait until all have their outcome, at most so long; those of `topics` that are gone.

        The library goes on trying a topic that was deleted for as long as it tries anything, and
        whatever was sent beside it would wait for its mark.
        """
        deadline = time.monotonic() + self._flush_seconds
        look_due = time.monotonic() + _SUSPICIOUS_SECONDS
        while time.monotonic() < deadline:
            try:
                self._producer.flush(timeout=_LOOK_SECONDS)
                break
            except Exception as error:  # each future knows its own outcome
                log.debug("flush: %s", error)
            if any(future.is_done and future.exception is not None for future in futures):
                break
            if time.monotonic() >= look_due:
                look_due = time.monotonic() + _SUSPICIOUS_SECONDS
                gone = topics - self._existing(topics)
                if gone:
                    return gone
        return set()

    def _existing(self, topics: set[str]) -> set[str]:
        """Those that the cluster has; all of them while it does not answer."""
        try:
            return clients.existing_topics(self._settings)
        except KafkaError as error:
            log.debug("topics: %s", error)
            return topics

    def topic_ids(self, topics: Iterable[str]) -> dict[str, uuid.UUID | None]:
        """Kafka's identity of each topic, by metadata of at most 30 s ago; None while unknown."""
        return library_patches.topic_ids(self._producer, topics)

    def load_metadata(self, topics: Iterable[str]) -> None:
        """Ask the cluster about topics that the producer does not know; raises a Kafka error."""
        for topic in topics:
            self._producer.partitions_for(topic)

    def close(self) -> None:
        """Give the connections back; what was not acknowledged stays in the outbox."""
        self._producer.close(timeout=_CLOSE_SECONDS)

    def _sent(self, pending: Sequence[Pending]) -> list[Any]:
        refused: dict[str, Refused] = {}
        futures: list[Any] = []
        for row in pending:
            if row.topic not in refused:
                try:
                    sent = self._producer.send(row.topic, row.value, row.key, row.headers)
                    futures.append(sent)
                    continue
                except Exception as error:  # e.g. the topic is gone: it blocked long enough
                    refused[row.topic] = Refused(error)
            futures.append(refused[row.topic])
        return futures


class Refused:
    """Stands where a future would, for a record that could not even be queued."""

    is_done = True
    value = None

    def __init__(self, exception: Exception) -> None:
        self.exception = exception


def outcomes(
    pending: Sequence[Pending], futures: Sequence[Any]
) -> tuple[list[Published], Failure | None]:
    """The rows that may be marked, and the first failure.

    Behind the first failed row of a case nothing of it is marked for that topic, acknowledged or
    not: it is sent again, in order.
    """
    published: list[Published] = []
    failed: set[tuple[str, str]] = set()
    not_allowed: set[str] = set()
    failure: Exception | None = None
    for row, future in zip(pending, futures, strict=True):
        fine = future.is_done and future.exception is None
        if fine and (row.topic, row.case_id) not in failed:
            published.append(Published(row.id, future.value.partition, future.value.offset))
            continue
        failed.add((row.topic, row.case_id))
        if not fine and isinstance(future.exception, TopicAuthorizationFailedError):
            not_allowed.add(row.topic)
        elif not fine and failure is None:
            failure = future.exception or Transient("Kafka did not answer in time", "kafka")
    if failure is None and not_allowed:
        return published, TopicsRefused(not_allowed, _NOT_ALLOWED)
    return published, None if failure is None else _explained(failure)


def _explained(failure: Exception) -> Failure:
    if isinstance(failure, Failure):
        return failure
    return classified(failure) or Transient(f"{type(failure).__name__}: {failure}", "kafka")
