"""Bounded waiting for a partition 无记录 that is read to its end and gives no records.

That happens while another producer's transaction is open in it, or if the broker is at fault.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from node.kafka.clients import TopicPartition
from node.runtime.errors import Transient

log = logging.getLogger(__name__)

_ANSWER_MS = 10_000
# Without progress a warning is logged after the first time; after the second, the caller retries.
_SILENCE_SECONDS = 15.0
_TRANSACTION_SECONDS = 960.0
# A transaction that stays open longer than this must not delay the other topics.
_BRIEF_SECONDS = 1.0


class HeldUp(Transient):
    """Transactions of other producers are open on some topics, those of `reasons`, a line each;
    the other topics were read."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(reasons.values()), "")
        self.reasons = reasons


class UnreadRange(NamedTuple):
    """The records of a partition that the database lacks, from offset `start` to `end`."""

    partition: TopicPartition
    start: int
    end: int


class Silence:
    """Bounds the wait for a partition; without `waits` an open transaction ends it soon."""

    def __init__(self, client: Any, tail: UnreadRange, waits: bool) -> None:
        self._client = client
        self._tail = tail
        self._patience = _SILENCE_SECONDS if waits else _BRIEF_SECONDS
        self._waits = waits
        self._began = time.monotonic()
        self._said = False

    def check(self, position: int) -> None:
        """Raise `Transient` if no record came at `position` for too long, or a Kafka error."""
        seconds = time.monotonic() - self._began
        if seconds < self._patience or (self._said and seconds < _TRANSACTION_SECONDS):
            return
        place = self._tail.partition
        readable = self._client.end_offsets([place], timeout_ms=_ANSWER_MS)[place]
        what = _held_up(self._tail, position, readable)
        is_open = position >= readable
        if is_open and not self._waits:
            raise HeldUp({place.topic: what})
        if self._said or (not is_open and seconds >= _SILENCE_SECONDS):
            raise Transient(what, "kafka")
        if not is_open:
            return
        log.warning("%s; waiting for its end", what)
        self._said = True


def _held_up(tail: UnreadRange, position: int, readable: int) -> str:
    place = f"{tail.partition.topic} partition {tail.partition.partition}"
    if position < readable:
        return f"{place} gives no records from offset {position} on, though it ends at {readable}"
    return (
        f"{place} cannot be read from offset {position} to {tail.end}: a producer's transaction is "
        "open there (`kafka-transactions.sh find-hanging` names one that never ends)"
    )
