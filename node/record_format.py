"""Kafka's record batches 记录批, read in one pass.

kafka-python 3.0.12's own way costs twice as much as decoding the events in them.
It makes an object per record, takes every header apart and measures it. Here a batch is walked
once and gives what the consumer needs; headers stay packed until somebody asks. Batches are
unpacked within bounds first (`node.unpacking`), and each is held to its checksum as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

from schemas.packed_headers import PackedHeaders, packed_part, read_varint


def install() -> None:
    """All consumers of this process read batches this way; safe to call again."""
    Fetcher.PartitionRecords._unpack_records = _records_of_all


def _records_of_all(part: Any, place: Any, batches: Any, *_deserializers: object) -> Iterator[Any]:
    """In place of the library's: each record of the fetched batches, `part` following along.

    Transactions are not looked at, as we read uncommitted ones; their markers are passed over.
    """
    batch = last = batches.next_batch()
    while batch is not None:
        last = batch
        if not isinstance(batch, DefaultRecordBatch):
            raise CorruptRecordError(f"{place}: a batch of a format before Kafka 0.11")
        if part.check_crcs and not batch.validate_crc():
            raise CorruptRecordError(f"{place}: batch at offset {batch.base_offset}: checksum")
        part.leader_epoch = batch.leader_epoch
        if batch.is_control_batch:
            part.next_fetch_offset = batch.next_offset
        else:
            for record in records_of(batch, place.topic, place.partition):
                part.next_fetch_offset = record.offset + 1
                yield record
        batch = batches.next_batch()
    if last is not None:
        # The last records of a compacted batch are gone, its end is not.
        part.next_fetch_offset = last.next_offset
    part.drain()


def records_of(batch: DefaultRecordBatch, topic: str, partition: int) -> Iterator[ConsumerRecord]:
    """The records of one batch, its checksum not looked at.

    Raises CorruptRecordError where its bytes contradict each other.
    """
    batch._maybe_uncompress()
    buffer, place = bytes(batch._buffer), batch._pos
    try:
        for _ in range(batch._num_records):
            record, place = _record(batch, buffer, place, topic, partition)
            yield record
    except (IndexError, ValueError) as error:
        raise CorruptRecordError(f"a record of {topic} partition {partition}: {error}") from error
    if place != len(buffer):
        raise CorruptRecordError(f"{len(buffer) - place} bytes behind the records of a batch")


def _record(
    batch: DefaultRecordBatch, buffer: bytes, place: int, topic: str, partition: int
) -> tuple[ConsumerRecord, int]:
    """The record that begins at `place`, and the place behind it."""
    length, place = read_varint(buffer, place)
    end = place + length
    since_first, place = read_varint(buffer, place + 1)  # a record's own attributes mean nothing
    since_base, place = read_varint(buffer, place)
    key, place = packed_part(buffer, place)
    value, place = packed_part(buffer, place)
    if not place < end <= len(buffer):
        raise ValueError("its length is not that of its parts")
    kind = batch.timestamp_type
    return (
        ConsumerRecord(
            topic,
            partition,
            batch.leader_epoch,
            batch.base_offset + since_base,
            batch.max_timestamp if kind else batch.first_timestamp + since_first,
            kind,
            key,
            value,
            PackedHeaders(buffer[place:end]),
            None,
            *_UNMEASURED,
        ),
        end,
    )


# The sizes of key, value and headers, which nobody asks for.
_UNMEASURED = (-1, -1, -1)
