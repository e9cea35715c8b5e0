"""The control topics 控制主题: how two nodes speak about what they exchange, apart from the events.

One topic for each direction of a link, one partition, JSON. Nothing said here needs to be kept: a
reader begins at the end, and whatever is lost is said again by the next account or round. No
message holds a person or the content of an event.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple, Self

from kafka import KafkaConsumer, KafkaProducer

from cases.topics import control_between, peers_of
from node import kafka
from node.errors import PetitionLinkError
from node.kafka import TopicPartition
from node.settings import Settings

log = logging.getLogger(__name__)

_ACKNOWLEDGE_SECONDS = 20.0
_CLOSE_SECONDS = 5.0
_CONTENT_TYPE = ("content-type", b"application/json")
_KIND = "ce_type"
_PREFIX = "petition.control."
_LONGEST_KIND = 60


class Received(NamedTuple):
    """A message of `peer`: its kind, and its JSON as it came."""

    peer: str
    kind: str
    payload: bytes


class NoControlTopic(PetitionLinkError):
    """The events of the node flow all the same; nobody can prove that they do."""


class Channel:
    """Both directions between a node and its peers; closed by `with`.

    Opening raises a Kafka error while the cluster is away, and `NoControlTopic` if it has none.
    """

    def __init__(self, settings: Settings, role: str, peers: Sequence[str] | None = None) -> None:
        self._node = settings.node
        incoming = {
            control_between(peer, self._node): peer for peer in peers or peers_of(self._node)
        }
        existing = kafka.existing_topics(settings)
        self._peer_of = {topic: peer for topic, peer in incoming.items() if topic in existing}
        # A province that is connected later is heard by the next channel.
        self.lacks_topics = len(self._peer_of) < len(incoming)
        if not self._peer_of:
            raise NoControlTopic(
                f"topic {min(incoming)} is missing: run `petitionlink topics apply`"
            )
        with ExitStack() as stack:
            self._reader: KafkaConsumer = kafka.plain_consumer(settings, role)
            stack.callback(self._reader.close)
            partitions = [TopicPartition(topic, 0) for topic in self._peer_of]
            self._reader.assign(partitions)
            for one, end in self._reader.end_offsets(partitions).items():
                self._reader.seek(one, end)
            self._writer: KafkaProducer = kafka.producer(settings, role)
            stack.callback(self._writer.close, timeout=_CLOSE_SECONDS)
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @property
    def peers(self) -> list[str]:
        """The nodes whose topics the cluster has."""
        return [*self._peer_of.values()]

    def send(self, peer: str, kind: str, payloads: Sequence[bytes]) -> None:
        """Send messages of one kind, in order, and wait for the acknowledgements."""
        topic = control_between(self._node, peer)
        headers = [(_KIND, f"{_PREFIX}{kind}.v1".encode()), _CONTENT_TYPE]
        sent = [self._writer.send(topic, one, headers=headers, partition=0) for one in payloads]
        for future in sent:
            future.get(timeout=_ACKNOWLEDGE_SECONDS)

    def receive(self, seconds: float) -> Iterator[Received]:
        """What came within `seconds`, without waiting longer than for the first."""
        for partition, records in self._reader.poll(timeout_ms=int(seconds * 1000)).items():
            for record in records:
                yield Received(self._peer_of[partition.topic], _kind(record), record.value or b"")


def _kind(record: object) -> str:
    headers: dict[str, bytes | None] = dict(getattr(record, "headers", None) or ())
    kind = (headers.get(_KIND) or b"")[:_LONGEST_KIND]
    return kind.decode("ascii", "replace").removeprefix(_PREFIX)[:-3]
