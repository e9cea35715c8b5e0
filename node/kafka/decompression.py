"""Decompression 解压 of record batches within a bound, for every codec that Kafka has.

A batch may be compressed with another codec than its producer used: `compression.type` of a topic
or broker makes the broker compress it again. Each codec stops at `MAX_BATCH_BYTES`, so that a
compression bomb costs no more memory than that.
"""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import cramjam
import lz4.frame
import zstandard

# Nodes write batches of 0.9 MB; other producers may fill theirs by the compressed size. What is
# unpacked of a bomb stays far under the 50 MB that one may cost.
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
# The numbers in the attributes of a batch.
CODECS: Final = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_GZIP = 31  # zlib's window bits for a stream with the header of gzip
# The largest window that a compressor uses by default (level 22). It is reserved as address space;
# memory is used only for what is really unpacked.
_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
# Java's producers and brokers cut a snappy stream into blocks, after this header of 16 bytes.
_SNAPPY_BLOCKS = b"\x82SNAPPY\0"
_SNAPPY_HEADER_BYTES = 16
_LENGTH = struct.Struct(">i")


class TooLarge(Exception):
    """The batch unpacks to more than `MAX_BATCH_BYTES`."""


class CannotDecompress(Exception):
    """The batch cannot be unpacked: its bytes are damaged, or this release lacks its codec."""


def codec_name(number: int) -> str:
    return CODECS.get(number, f"number {number}")


def decompress(codec: int, packed: bytes) -> bytes:
    """Return the bytes that `packed` was made of; raises `TooLarge` or `CannotDecompress`."""
    unpack = _UNPACKERS.get(codec)
    if unpack is None:
        raise CannotDecompress("this release does not know the codec")
    try:
        return unpack(packed)
    except _DAMAGED as error:
        raise CannotDecompress(str(error) or type(error).__name__) from error


_DAMAGED = (
    *(zlib.error, RuntimeError, EOFError, struct.error),
    *(zstandard.ZstdError, cramjam.DecompressionError),
)


def _by_decompressor(make: Callable[[], Any]) -> Callable[[bytes], bytes]:
    def unpack(packed: bytes) -> bytes:
        unpacker = make()
        plain = bytes(unpacker.decompress(packed, MAX_BATCH_BYTES))
        if unpacker.eof:
            return plain
        if len(plain) == MAX_BATCH_BYTES:
            raise TooLarge
        raise CannotDecompress("the compressed stream ends too soon")

    return unpack


def _zstd(packed: bytes) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    with decompressor.stream_reader(BytesIO(packed), read_across_frames=True) as reader:
        plain: bytes = reader.read(MAX_BATCH_BYTES + 1)
    if len(plain) > MAX_BATCH_BYTES:
        raise TooLarge
    return plain


def _snappy(packed: bytes) -> bytes:
    if not packed.startswith(_SNAPPY_BLOCKS):
        return _snappy_block(packed, MAX_BATCH_BYTES)
    blocks: list[bytes] = []
    room, offset = MAX_BATCH_BYTES, _SNAPPY_HEADER_BYTES
    while offset < len(packed):
        (length,) = _LENGTH.unpack_from(packed, offset)
        offset += _LENGTH.size
        if not 0 < length <= len(packed) - offset:
            raise CannotDecompress("a block of the compressed stream has a wrong length")
        blocks.append(_snappy_block(packed[offset : offset + length], room))
        room -= len(blocks[-1])
        offset += length
    return b"".join(blocks)


def _snappy_block(block: bytes, room: int) -> bytes:
    """Decompress a block, unless the length that it states is more than `room`."""
    if cramjam.snappy.decompress_raw_len(block) > room:
        raise TooLarge
    return bytes(cramjam.snappy.decompress_raw(block))


_UNPACKERS: dict[int, Callable[[bytes], bytes]] = {
    1: _by_decompressor(lambda: zlib.decompressobj(_GZIP)),
    2: _snappy,
    3: _by_decompressor(lz4.frame.LZ4FrameDecompressor),
    4: _zstd,
}
