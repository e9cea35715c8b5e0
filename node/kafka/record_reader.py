"""Kafka's record batches 记录批, read in one pass.

kafka-python 3.0.12's own way costs twice as much as decoding the events in them.
It makes an object per record, takes every header apart and measures it. Here a batch is walked
once and gives what the consumer needs; headers stay packed until somebody asks. Batches are
unpacked within a bound (`node.kafka.decompression`), each is held to its checksum, and those of
aborted transactions are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

from node.kafka.decompression import TooLarge, Unreadable, codec_name, unpacked
from node.runtime.errors import Transient
from schemas.packed_headers import PackedHeaders, packed_part, read_varint


class UnreadableBatch(Transient):
    """A batch cannot be read: a fault of the environment, no poison, as it may hold many events.

    `topic`, `partition` and `offset` say where reading stopped; nothing from there on is skipped.
    """

    def __init__(self, topic: str, partition: int, offset: int, why: str) -> None:
        super().__init__(
            f"{topic} partition {partition} offset {offset}: {why}: reading stops there and "
            "nothing is skipped: mend the broker's log, or install a release that can read it",
            "kafka",
        )
        self.topic = topic
        self.partition = partition
        self.offset = offset


class PackedBatch(bytes):
    """In place of the value of a record: a batch as it came, which would unpack to too much."""

    __slots__ = ()


def records_of_fetch(part: Any, place: Any, batches: Any, *_deserializers: object) -> Iterator[Any]:
    """Each record of the fetched batches, in place of the library's `_unpack_records`.

    `part.next_fetch_offset` is what the client's position becomes, so it also passes what gives no
    records: transaction markers, aborted records, and what compaction took away.
    """
    try:
        while (batch := batches.next_batch()) is not None:
            _check(part, batch)
            part.leader_epoch = batch.leader_epoch
            if _is_visible(part, batch):
                for record in records_of(batch, place.topic, place.partition):
                    part.next_fetch_offset = record.offset + 1
                    yield record
            part.next_fetch_offset = batch.next_offset
    except CorruptRecordError as error:
        part.drain()  # or the client would ask an iterator that has ended again and again
        why = str(error).removeprefix("CorruptRecordError: ")
        offset = max(part.next_fetch_offset, part.fetch_offset)
        raise UnreadableBatch(place.topic, place.partition, offset, why) from error
    part.drain()


def _check(part: Any, batch: Any) -> None:
    if not isinstance(batch, DefaultRecordBatch):
        raise CorruptRecordError("a batch of a format before Kafka 0.11")
    if part.check_crcs and not batch.validate_crc():
        raise CorruptRecordError(
            f"a batch with codec {codec_name(batch.compression_type)} is damaged: its checksum "
            "is wrong"
        )


def _is_visible(part: Any, batch: DefaultRecordBatch) -> bool:
    """True if the records of this batch are for us: neither a marker nor part of an aborted
    transaction. The broker names the aborted ones with each fetch."""
    if part.isolation_level and batch.has_producer_id():
        part._consume_aborted_transactions_up_to(batch.last_offset)
        if part._contains_abort_marker(batch):
            part.aborted_producer_ids.discard(batch.producer_id)
        elif part._is_batch_aborted(batch):
            return False
    return not batch.is_control_batch


def records_of(batch: DefaultRecordBatch, topic: str, partition: int) -> Iterator[ConsumerRecord]:
    """The records of one batch, its checksum not looked at.

    One that would unpack to too much is a single record at its last offset with a `PackedBatch`.
    Raises CorruptRecordError where its bytes cannot be unpacked or contradict each other.
    """
    try:
        buffer, place = _plain(batch)
    except TooLarge:
        yield _packed(batch, topic, partition)
        return
    try:
        for _ in range(batch._num_records):
            record, place = _record(batch, buffer, place, topic, partition)
            yield record
    except (IndexError, ValueError) as error:
        raise CorruptRecordError(f"a record of {topic} partition {partition}: {error}") from error
    if place != len(buffer):
        raise CorruptRecordError(f"{len(buffer) - place} bytes after the records of a batch")


def _plain(batch: DefaultRecordBatch) -> tuple[bytes, int]:
    """The bytes in which the records stand, and where they begin."""
    if batch.compression_type == batch.CODEC_NONE or batch._decompressed:
        return bytes(batch._buffer), batch._pos
    try:
        return unpacked(batch.compression_type, _payload(batch)), 0
    except Unreadable as error:
        codec = codec_name(batch.compression_type)
        raise CorruptRecordError(
            f"a batch with codec {codec} cannot be unpacked: {error}"
        ) from error


def _payload(batch: DefaultRecordBatch) -> bytes:
    return bytes(memoryview(batch._buffer)[batch._pos :])


def _packed(batch: DefaultRecordBatch, topic: str, partition: int) -> ConsumerRecord:
    return ConsumerRecord(
        topic,
        partition,
        batch.leader_epoch,
        batch.last_offset,
        batch.max_timestamp,
        batch.timestamp_type,
        None,
        PackedBatch(_payload(batch)),
        PackedHeaders(b"\0"),
        None,
        *_UNMEASURED,
    )


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
