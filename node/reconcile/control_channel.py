"""The channel of control topics 控制主题 between two nodes, apart from the events.

Each direction of a link has one topic with one partition, in JSON. A reader begins at its end: the
next account or round repeats what is lost. No message has a person or the content of an event.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import (
    InvalidTimestampError,
    KafkaError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from node.kafka import clients
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import control_between, peers_of
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import Settings
from schemas.instants import Clock

log = logging.getLogger(__name__)

_ACKNOWLEDGE_SECONDS = 20.0
# After this long without an acknowledgement the topic may be gone.
_SUSPICIOUS_SECONDS = 3.0
_CLOSE_SECONDS = 5.0
_UNLIKELY_MILLIS = 7_001
# The broker's default of message.timestamp.after.max.ms plus a second, the least skew it refuses.
_REFUSED_MICROS = 3_601_000_000
_CONTENT_TYPE = ("content-type", b"application/json")
_KIND = "ce_type"
_PREFIX = "petition.control."
_LONGEST_KIND = 60


class Received(NamedTuple):
    """A message of `peer`: its kind, and its JSON, not yet parsed."""

    peer: str
    kind: str
    payload: bytes


class NoControlTopic(PetitionLinkError):
    """A control topic is missing: events flow, but cannot be reconciled."""


class Channel:
    """Both directions between a node and its peers; closed by `with`.

    Opening raises a Kafka error if no broker answers, and `NoControlTopic` if there is none.
    """

    def __init__(self, settings: Settings, role: str, peers: Sequence[str] | None = None) -> None:
        self._node = settings.node
        incoming = {
            control_between(peer, self._node): peer for peer in peers or peers_of(self._node)
        }
        existing = clients.existing_topics(settings)
        # Both topics must exist: a question to a peer that cannot answer would delay all others.
        self._peer_of = {
            topic: peer
            for topic, peer in incoming.items()
            if topic in existing and control_between(self._node, peer) in existing
        }
        self._settings = settings
        # The next channel includes a province that is connected later.
        self.lacks_topics = len(self._peer_of) < len(incoming)
        if not self._peer_of:
            raise NoControlTopic(
                f"topic {min(incoming)} is missing: run `petitionlink topics apply`"
            )
        with ExitStack() as stack:
            self._reader: KafkaConsumer = clients.plain_consumer(settings, role)
            stack.callback(self._reader.close)
            partitions = [TopicPartition(topic, 0) for topic in self._peer_of]
            self._reader.assign(partitions)
            for partition, end in self._reader.end_offsets(partitions).items():
                self._reader.seek(partition, end)
            self._writer: KafkaProducer = clients.producer(settings, role)
            stack.callback(self._writer.close, timeout=_CLOSE_SECONDS)
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def peers(self) -> list[str]:
        """Return the nodes whose topics the cluster has."""
        return [*self._peer_of.values()]

    def send(self, peer: str, kind: str, payloads: Sequence[bytes]) -> None:
        """Send messages of one kind, in order, and wait for the acknowledgements.

        A peer whose topic is gone is left out; raises a Kafka error if no broker answers.
        """
        topic = control_between(self._node, peer)
        headers = [(_KIND, f"{_PREFIX}{kind}.v1".encode()), _CONTENT_TYPE]
        try:
            self._await(
                topic, [self._writer.send(topic, p, headers=headers, partition=0) for p in payloads]
            )
        except KafkaError as error:
            if not self._is_refused(topic, error):
                raise
            self._leave(peer, topic, error)

    def _await(self, topic: str, sent: Sequence[Any]) -> None:
        """Wait for the acknowledgements within the time limit, unless the topic is gone."""
        deadline = time.monotonic() + _ACKNOWLEDGE_SECONDS
        for future in sent:
            while not future.is_done:
                try:
                    future.get(timeout=_SUSPICIOUS_SECONDS)
                except KafkaTimeoutError:
                    gone = topic not in clients.existing_topics(self._settings)
                    if gone or time.monotonic() >= deadline:
                        raise
            future.get(timeout=0)

    def _is_refused(self, topic: str, error: KafkaError) -> bool:
        """Return True if only this topic is at fault; raises a Kafka error if no broker answers."""
        if isinstance(error, TopicAuthorizationFailedError):
            return True
        return topic not in clients.existing_topics(self._settings)

    def _leave(self, peer: str, topic: str, error: KafkaError) -> None:
        """Leave out a peer whose topic is gone; the next channel tries it again."""
        incoming = control_between(peer, self._node)
        if self._peer_of.pop(incoming, None) is not None:
            self.lacks_topics = True
            log.error(
                "topic %s takes nothing (%s): node %s is left out of the proof, no other is: "
                "run `petitionlink topics apply`, or see its ACL in Kafka",
                *(topic, type(error).__name__, peer),
            )

    def clock_ahead(self, peer: str, clock: Clock) -> int | None:
        """Return by how much `clock` is ahead of the broker's (micros), from an acknowledgement.

        None if the topic does not use the broker's time. A broker that refuses the timestamp (more
        than an hour ahead) gives a lower bound. Raises a Kafka error.
        """
        topic = control_between(self._node, peer)
        began = clock()
        # An unlikely instant, so that the acknowledgement shows whether it has our time.
        ours = began // 1000 - _UNLIKELY_MILLIS
        headers = [(_KIND, f"{_PREFIX}clock.v1".encode()), _CONTENT_TYPE]
        try:
            sent = self._writer.send(
                topic, b"{}", headers=headers, partition=0, timestamp_ms=ours
            ).get(timeout=_ACKNOWLEDGE_SECONDS)
        except InvalidTimestampError:
            return _REFUSED_MICROS
        if sent.timestamp == ours:
            return None
        return (began + clock()) // 2 - int(sent.timestamp) * 1000

    def receive(self, seconds: float) -> Iterator[Received]:
        """Yield what came within `seconds`, without waiting for more than the first."""
        for partition, records in self._polled(seconds).items():
            peer = self._peer_of.get(partition.topic)
            for record in records if peer else ():
                yield Received(str(peer), _kind(record), record.value or b"")

    def _polled(self, seconds: float) -> dict[TopicPartition, list[Any]]:
        """Poll; go on at the end of a topic that was created again, and pause a forbidden one."""
        try:
            polled: dict[TopicPartition, list[Any]] = self._reader.poll(int(seconds * 1000))
            return polled
        except OffsetOutOfRangeError as error:
            self._reader.seek_to_end(*error.args[0])
        except TopicAuthorizationFailedError as error:
            for topic in error.args[0]:
                self._reader.pause(TopicPartition(topic, 0))
                if topic in self._peer_of:
                    self._leave(self._peer_of[topic], topic, error)
        return {}


def _kind(record: object) -> str:
    headers: dict[str, bytes | None] = dict(getattr(record, "headers", None) or ())
    kind = (headers.get(_KIND) or b"")[:_LONGEST_KIND]
    return kind.decode("ascii", "replace").removeprefix(_PREFIX)[:-3]
