"""Decompression 解压 of record batches within a bound, for every codec that Kafka has.

A batch may be compressed with another codec than its producer used: `compression.type` of a topic
or broker makes the broker compress it again. Each codec stops at `MAX_BATCH_BYTES`, so that a
compression bomb costs no more memory than that.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import cramjam
import lz4.frame
import zstandard

# Nodes write batches of 0.9 MB; others may fill theirs by the packed size. What is taken apart of a
# bomb stays far under the 50 MB that one may cost.
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
# The numbers in the attributes of a batch.
CODECS: Final = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_GZIP = 31  # zlib's way to say: with the header of gzip
# The largest window that a compressor uses without being told to (level 22). It is reserved as
# address space; memory is used only for what is really unpacked.
_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
# Java's producers and brokers cut a snappy stream into blocks, after this header of 16 bytes.
_SNAPPY_BLOCKS = b"\x82SNAPPY\0"
_SNAPPY_HEADER_BYTES = 16
_LENGTH = struct.Struct(">i")


class TooLarge(Exception):
    """The batch unpacks to more than `MAX_BATCH_BYTES`."""


class Unreadable(Exception):
    """The batch cannot be unpacked: its bytes are damaged, or this release lacks its codec."""


def codec_name(number: int) -> str:
    """The name of a codec as Kafka's configuration has it."""
    return CODECS.get(number, f"number {number}")


def unpacked(codec: int, packed: bytes) -> bytes:
    """The bytes that `packed` was made of; raises `TooLarge` or `Unreadable`."""
    unpack = _UNPACKERS.get(codec)
    if unpack is None:
        raise Unreadable("this release does not know the codec")
    try:
        return unpack(packed)
    except _DAMAGED as error:
        raise Unreadable(str(error) or type(error).__name__) from error


_DAMAGED = (
    *(zlib.error, RuntimeError, EOFError, struct.error),
    *(zstandard.ZstdError, cramjam.DecompressionError),
)


def _by_decompressor(make: Callable[[], Any]) -> Callable[[bytes], bytes]:
    def unpack(packed: bytes) -> bytes:
        unpacker = make()
        found = bytes(unpacker.decompress(packed, MAX_BATCH_BYTES))
        if unpacker.eof:
            return found
        if len(found) == MAX_BATCH_BYTES:
            raise TooLarge
        raise Unreadable("the compressed stream ends too soon")

    return unpack


def _zstd(packed: bytes) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    with decompressor.stream_reader(BytesIO(packed), read_across_frames=True) as reader:
        found: bytes = reader.read(MAX_BATCH_BYTES + 1)
    if len(found) > MAX_BATCH_BYTES:
        raise TooLarge
    return found


def _snappy(packed: bytes) -> bytes:
    if not packed.startswith(_SNAPPY_BLOCKS):
        return _snappy_block(packed, MAX_BATCH_BYTES)
    blocks: list[bytes] = []
    room, place = MAX_BATCH_BYTES, _SNAPPY_HEADER_BYTES
    while place < len(packed):
        (length,) = _LENGTH.unpack_from(packed, place)
        place += _LENGTH.size
        if not 0 < length <= len(packed) - place:
            raise Unreadable("a block of the compressed stream has a wrong length")
        blocks.append(_snappy_block(packed[place : place + length], room))
        room -= len(blocks[-1])
        place += length
    return b"".join(blocks)


def _snappy_block(block: bytes, room: int) -> bytes:
    """A block says how long it is unpacked; it is not believed beyond `room`."""
    if cramjam.snappy.decompress_raw_len(block) > room:
        raise TooLarge
    return bytes(cramjam.snappy.decompress_raw(block))


_UNPACKERS: dict[int, Callable[[bytes], bytes]] = {
    1: _by_decompressor(lambda: zlib.decompressobj(_GZIP)),
    2: _snappy,
    3: _by_decompressor(lz4.frame.LZ4FrameDecompressor),
    4: _zstd,
}
