"""Kafka's record batches 记录批, read in one pass.

kafka-python 3.0.12's own reader costs twice as much as decoding the events: it makes several
objects per record and parses every header. This one walks a batch once and returns what the
consumer needs; headers stay packed until they are read. Batches are decompressed within a bound
(`node.kafka.decompression`), their checksums are verified, and aborted ones are skipped.
"""

from collections.abc import Iterator
from typing import Any

from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

from node.kafka.decompression import CannotDecompress, TooLarge, codec_name, decompress
from node.runtime.errors import Transient
from schemas.packed_headers import PackedHeaders, packed_part, read_varint


class UnreadableBatch(Transient):
    """A batch cannot be read. That is a fault of the environment, not poison: it may hold many
    events, so nothing from `offset` on is skipped."""

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
    """The value of a record that replaces a whole batch, still compressed, which is too large."""

    __slots__ = ()


def records_of_fetch(part: Any, place: Any, batches: Any, *_deserializers: object) -> Iterator[Any]:
    """Yield each record of the fetched batches; replaces the library's `_unpack_records`.

    `part.next_fetch_offset` becomes the client's position, so it also advances over what gives no
    records: transaction markers, aborted records, and what compaction removed.
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
        part.drain()  # or the client would read the ended iterator again and again
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
    """Return False for a transaction marker and for a batch of an aborted transaction, which the
    broker names with each fetch."""
    if part.isolation_level and batch.has_producer_id():
        part._consume_aborted_transactions_up_to(batch.last_offset)
        if part._contains_abort_marker(batch):
            part.aborted_producer_ids.discard(batch.producer_id)
        elif part._is_batch_aborted(batch):
            return False
    return not batch.is_control_batch


def records_of(batch: DefaultRecordBatch, topic: str, partition: int) -> Iterator[ConsumerRecord]:
    """Yield the records of one batch, without verifying its checksum.

    A batch that is too large becomes a single record at its last offset with a `PackedBatch`.
    Raises CorruptRecordError if its bytes cannot be decompressed or contradict each other.
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
    """Return the bytes that hold the records, and where these begin."""
    if batch.compression_type == batch.CODEC_NONE or batch._decompressed:
        return bytes(batch._buffer), batch._pos
    try:
        return decompress(batch.compression_type, _payload(batch)), 0
    except CannotDecompress as error:
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


# The sizes of key, value and headers, which nobody reads.
_UNMEASURED = (-1, -1, -1)
