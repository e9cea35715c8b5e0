"""Every codec of Kafka is unpacked within a bound; a batch that cannot be is named."""

import gzip
import struct
import tracemalloc
from collections.abc import Callable

import cramjam
import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch

from node.kafka import decompression
from node.kafka.decompression import MAX_BATCH_BYTES, CannotDecompress, TooLarge, decompress

Pack = Callable[[bytes], bytes]


def snappy_in_blocks(plain: bytes) -> bytes:
    """Compress as Java's producers and brokers do, 32 kB a block."""
    parts = [b"\x82SNAPPY\0", struct.pack(">ii", 1, 1)]
    for place in range(0, len(plain), 32_768):
        block = bytes(cramjam.snappy.compress_raw(plain[place : place + 32_768]))
        parts += [struct.pack(">i", len(block)), block]
    return b"".join(parts)


def snappy_whole(plain: bytes) -> bytes:
    """Compress as librdkafka's producers do."""
    return bytes(cramjam.snappy.compress_raw(plain))


def zstd_of_level_22(plain: bytes) -> bytes:
    """Compress with the largest window, without its length, as a stream is compressed."""
    packer = zstandard.ZstdCompressor(level=22).compressobj()
    return packer.compress(plain) + packer.flush()


PACKED: dict[str, tuple[int, Pack]] = {
    "gzip": (1, gzip.compress),
    "snappy in blocks": (2, snappy_in_blocks),
    "snappy": (2, snappy_whole),
    "lz4": (3, lambda plain: lz4.frame.compress(plain, block_linked=False)),
    "zstd": (4, zstandard.ZstdCompressor().compress),
    "zstd 22": (4, zstd_of_level_22),
}
EVERY = pytest.mark.parametrize(("codec", "pack"), PACKED.values(), ids=[*PACKED])


def test_the_numbers_are_those_of_the_wire_format() -> None:
    wire = {
        0: DefaultRecordBatch.CODEC_NONE,
        1: DefaultRecordBatch.CODEC_GZIP,
        2: DefaultRecordBatch.CODEC_SNAPPY,
        3: DefaultRecordBatch.CODEC_LZ4,
        4: DefaultRecordBatch.CODEC_ZSTD,
    }
    assert all(number == known for number, known in wire.items())
    assert decompression.CODECS.keys() == wire.keys()


@EVERY
def test_every_codec_is_read(codec: int, pack: Pack) -> None:
    plain = bytes(range(256)) * 1_000
    assert decompress(codec, pack(plain)) == plain
    full = bytes(MAX_BATCH_BYTES)
    assert decompress(codec, pack(full)) == full


@EVERY
def test_what_unpacks_to_too_much_costs_no_more_than_the_bound(codec: int, pack: Pack) -> None:
    """Seen failing with the bound taken out of each codec."""
    bomb = pack(bytes(10 * MAX_BATCH_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress(codec, bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BATCH_BYTES
    finally:
        tracemalloc.stop()


SMALL = {
    name: (codec, pack(b"a petition event, and another one " * 40))
    for name, (codec, pack) in PACKED.items()
}


@pytest.mark.parametrize("name", SMALL)
@given(data=st.data())
def test_a_damaged_batch_is_unreadable_or_too_large_and_nothing_else(
    name: str, data: st.DataObject
) -> None:
    codec, whole = SMALL[name]
    packed = bytearray(whole)
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    del packed[data.draw(st.integers(place, len(packed))) :]
    try:
        decompress(codec, bytes(packed))  # a flipped bit may still be a stream of something
    except (CannotDecompress, TooLarge):
        return


@given(st.sampled_from([1, 2, 3, 4]), st.binary(max_size=200))
def test_any_bytes_at_all_end_in_the_same_way(codec: int, packed: bytes) -> None:
    try:
        decompress(codec, packed)
    except (CannotDecompress, TooLarge):
        return


def test_a_codec_of_the_future_is_named_by_its_number() -> None:
    with pytest.raises(CannotDecompress, match="does not know"):
        decompress(5, b"x")
    assert decompression.codec_name(5) == "number 5"
