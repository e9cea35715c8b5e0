"""A batch 批次 holds the decoded records of one poll and the offsets that it moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from kafka.consumer.fetcher import ConsumerRecord

from node.kafka.clients import TopicPartition
from node.store.events import Packed
from node.store.precompute import Precomputed
from schemas.event import Event

# Each takes about 17 kB, in the batch that is made and in the one that is applied.
MOST_CASES: Final = 1_000


class OffsetRange(NamedTuple):
    """The offsets of a partition that a batch covers: from `before` up to but without `after`."""

    topic: str
    partition: int
    before: int
    after: int

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class Polled(NamedTuple):
    """The result of a poll: records, the offset range of each partition that moved, and its end."""

    records: Mapping[TopicPartition, Sequence[Any]]
    ranges: Sequence[OffsetRange]
    ends: Mapping[TopicPartition, int | None]


class DecodedRecord(NamedTuple):
    """A record, the event in it, and that event ready for the ledger."""

    record: ConsumerRecord
    event: Event
    packed: Packed


class Poison(NamedTuple):
    """A record 毒消息 that will never be an event, and the reason."""

    record: ConsumerRecord
    reason: str
    detail: str

    def __str__(self) -> str:
        record = self.record
        place = f"{record.topic} partition {record.partition} offset {record.offset}"
        return f"{place}: {self.reason}: {self.detail}"


class Batch(NamedTuple):
    """Records of one or more partitions, to be applied in one transaction.

    The records of a partition are in the order of their offsets, and so is its poison.
    `read_at` (micros) is when all of them reached this node. `precomputed` holds the cases after
    these records; it is used only if the cases are still as they were read.
    """

    records: Sequence[DecodedRecord]
    poison: Sequence[Poison]
    ranges: Sequence[OffsetRange]
    read_at: int = 0
    precomputed: Precomputed | None = None

    def __len__(self) -> int:
        return len(self.records) + len(self.poison)

    def with_precomputed(self, precomputed: Precomputed | None) -> Batch:
        # Not `_replace`, which relies on the `__len__` of a tuple.
        return Batch(self.records, self.poison, self.ranges, self.read_at, precomputed)


def next_size(most: int, batch: Batch, most_cases: int = MOST_CASES) -> int:
    """Return how many records the next batch may have, `most` or fewer.

    If the next batch is like this one, it then has no more than `most_cases` different cases.
    """
    cases = len({event.case_id for _, event, _ in batch.records})
    return min(most, max(1, most_cases * len(batch.records) // cases)) if cases else most


def offset_ranges(before: Mapping[Any, int], after: Mapping[Any, int]) -> list[OffsetRange]:
    """Return the ranges of the partitions whose offset is greater in `after` than in `before`.

    They also cover offsets without records: transaction markers, aborted records and gaps.
    """
    return [
        OffsetRange(partition.topic, partition.partition, offset, after[partition])
        for partition, offset in before.items()
        if after.get(partition, offset) > offset
    ]
