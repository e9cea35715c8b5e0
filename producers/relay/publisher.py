"""Publish 发布 a batch of outbox rows to Kafka and return the outcome of each."""

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
# A failure ends the session: rows without an outcome after this time are sent again. The library
# waits for batches one by one, and some that were in flight when the broker went away never end:
# the relay stopped for half a minute after the broker's return.
_LOOK_SECONDS = 1.0
_CLOSE_SECONDS = 1.0
# A batch can fill up while rows are added; the flush after them does not wait.
_LINGER_MS = 20

# Without an acknowledgement for this time a topic may be gone: look at the cluster's list.
_SUSPICIOUS_SECONDS = 3.0
_GONE = "does not exist any more: run `petitionlink topics apply`"
_NOT_ALLOWED = "may not be written by this node: see its ACL in Kafka"

Failure = Transient | Fatal


class TopicsRefused(Transient):
    """These topics accept no records now; all others continue without them."""

    def __init__(self, topics: Iterable[str], why: str) -> None:
        self.topics = sorted(topics)
        names = ", ".join(self.topics)
        super().__init__(
            f"topic {names} {why}; its outbox waits, all others are published", "kafka"
        )


class Publisher:
    """The producer of one session; after a failure it is closed and never used again.

    Closing it keeps the order: the next one sends the failed record again, and all after it.
    """

    def __init__(self, settings: Settings, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._settings = settings
        self._flush_seconds = flush_seconds
        self._producer: KafkaProducer = clients.producer(settings, "relay", linger_ms=_LINGER_MS)

    def publish(self, pending: Sequence[Pending]) -> tuple[list[Published], Failure | None]:
        """Send and wait; return the acknowledged rows that may be marked, and the first failure."""
        futures = self._sent(pending)
        gone = self._await(futures, {row.topic for row in pending})
        published, failure = outcomes(pending, futures)
        return published, TopicsRefused(gone, _GONE) if gone else failure

    def _await(self, futures: Sequence[Any], topics: set[str]) -> set[str]:
        """Wait for all outcomes, within bounds; return those of `topics` that are gone.

        The library retries a deleted topic for the whole delivery timeout, and the marks of all
        other rows would wait.
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
        """Return the topics of the cluster; all of `topics` if it does not answer."""
        try:
            return clients.existing_topics(self._settings)
        except KafkaError as error:
            log.debug("topics: %s", error)
            return topics

    def topic_ids(self, topics: Iterable[str]) -> dict[str, uuid.UUID | None]:
        """Return the id of each topic, by metadata of at most 30 s ago; None if unknown."""
        return library_patches.topic_ids(self._producer, topics)

    def load_metadata(self, topics: Iterable[str]) -> None:
        """Load the metadata of topics that the producer does not know; raise a Kafka error."""
        for topic in topics:
            self._producer.partitions_for(topic)

    def close(self) -> None:
        """Close the connections; rows that were not acknowledged stay in the outbox."""
        self._producer.close(timeout=_CLOSE_SECONDS)

    def _sent(self, pending: Sequence[Pending]) -> list[Any]:
        refused: dict[str, _FailedFuture] = {}
        futures: list[Any] = []
        for row in pending:
            if row.topic not in refused:
                try:
                    sent = self._producer.send(row.topic, row.value, row.key, row.headers)
                    futures.append(sent)
                    continue
                except Exception as error:  # e.g. the topic is gone
                    refused[row.topic] = _FailedFuture(error)
            futures.append(refused[row.topic])
        return futures


class _FailedFuture:
    """A future of a record that could not be queued."""

    is_done = True
    value = None

    def __init__(self, exception: Exception) -> None:
        self.exception = exception


def outcomes(
    pending: Sequence[Pending], futures: Sequence[Any]
) -> tuple[list[Published], Failure | None]:
    """Return the rows that may be marked, and the first failure.

    After the first failed row of a case none of its rows to that topic is marked, acknowledged or
    not: they are sent again, in order.
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
