"""Our reader of Kafka's record batches against the library's own, and headers that stay packed."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.record.default_records import DefaultRecordBatch

from node.kafka import record_reader
from schemas.packed_headers import UNREADABLE, PackedHeaders, pack, read_varint, varint

Content = st.none() | st.binary(max_size=200)
Record = st.tuples(
    st.integers(0, 2**41),
    Content,
    Content,
    st.lists(st.tuples(st.text(max_size=70), Content), max_size=12),
)


def batch_of(records: list[Any], compression: int = 0) -> DefaultRecordBatch:
    builder = MemoryRecordsBuilder(2, compression, 1 << 20, offset=7)
    for timestamp, key, value, headers in records:
        assert builder.append(timestamp, key, value, headers) is not None
    builder.close()
    return MemoryRecords(builder.buffer()).next_batch()


@given(st.lists(Record, min_size=1, max_size=20), st.sampled_from([0, 1, 3, 4]))
def test_it_reads_what_the_library_reads(records: list[Any], compression: int) -> None:
    ours = [*record_reader.records_of(batch_of(records, compression), "topic", 3)]
    theirs = [*batch_of(records, compression)]
    assert [
        (one.offset, one.timestamp, one.timestamp_type, one.key, one.value, [*one.headers])
        for one in ours
    ] == [
        (one.offset, one.timestamp, one.timestamp_type, one.key, one.value, one.headers)
        for one in theirs
    ]
    assert {(one.topic, one.partition) for one in ours} == {("topic", 3)}


@given(st.data())
def test_damaged_records_are_named_never_misread_beyond_the_batch(data: Any) -> None:
    batch = batch_of([(5, b"key", b"value", [("name", b"content")])] * 3)
    buffer = bytearray(batch._buffer)
    place = data.draw(st.integers(batch._pos, len(buffer) - 1))
    buffer[place] = data.draw(st.integers(0, 255))
    batch._buffer = buffer
    found = []
    with suppress(CorruptRecordError):
        found += [[*one.headers] for one in record_reader.records_of(batch, "topic", 0)]
        assert len(found) == 3


def test_a_record_that_ends_too_soon_is_corrupt() -> None:
    batch = batch_of([(5, b"key", b"value", [])])
    batch._buffer = batch._buffer[:-2]
    with pytest.raises(CorruptRecordError, match="topic partition 0"):
        [*record_reader.records_of(batch, "topic", 0)]


@given(st.lists(st.tuples(st.text(max_size=70), st.binary(max_size=200)), max_size=12))
def test_packed_headers_read_as_the_list_that_they_pack(headers: list[Any]) -> None:
    packed = PackedHeaders(pack(headers))
    assert [*packed] == headers
    assert len(packed) == len(headers)
    assert packed[:] == headers


@given(st.integers(0, 2**62))
def test_a_varint_is_read_as_written(number: int) -> None:
    made = varint(number)
    assert read_varint(made + b"\xff", 0) == (number, len(made))


@pytest.mark.parametrize(
    "packed", [b"", b"\x02", b"\x02\x01", b"\x02\x02a\x20", b"\x00\x00", b"\x01"]
)
def test_headers_that_cannot_be_taken_apart_are_one_that_no_event_has(packed: bytes) -> None:
    assert [*PackedHeaders(packed)] == [(UNREADABLE, packed)]


def test_a_name_that_is_no_text_is_escaped() -> None:
    assert [*PackedHeaders(b"\x02\x02\xff\x02x")] == [("\\xff", b"x")]
