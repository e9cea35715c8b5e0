"""Unpacking 解压 of record batches within bounds: a compression bomb stays packed.

kafka-python unpacks a batch whole, whatever it grows to, and raises from every later `poll()` for a
codec that it does not have. Here such a batch becomes one record at its last offset, whose value
is the batch as it came: no event begins with the first byte of a packed stream, so it is poison
like any other, and the next batch is read.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import lz4.frame
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import encode_varint

# Nodes write batches of 0.9 MB; others may fill theirs by the packed size. What is taken apart of a
# bomb stays far under the 50 MB that one may cost.
MAX_BATCH_BYTES = 8 * 1024 * 1024
_GZIP = 31  # zlib's way to say: with the header of gzip


def install() -> None:
    """All clients of this process unpack within bounds; safe to call again."""
    DefaultRecordBatch._maybe_uncompress = _unpack


def _unpack(batch: Any) -> None:
    """In place of the library's: the batch's own buffer, unpacked or replaced."""
    if batch._decompressed:
        return
    if batch.compression_type != batch.CODEC_NONE:
        packed = bytes(memoryview(batch._buffer)[batch._pos :])
        plain = _unpacked(batch, packed)
        if plain is None:
            plain = _record(packed, batch.last_offset_delta)
            batch._num_records = 1
        batch._buffer = bytearray(plain)
        batch._pos = 0
    batch._decompressed = True


def _unpacked(batch: Any, packed: bytes) -> bytes | None:
    """The records, None if they are too many bytes, damaged, or of a codec we do not speak."""
    make = _UNPACKERS.get(batch.compression_type)
    if make is None:
        return None
    unpacker = make()
    try:
        found = bytes(unpacker.decompress(packed, MAX_BATCH_BYTES))
    except (zlib.error, RuntimeError, EOFError):
        return None
    return found if unpacker.eof else None


_UNPACKERS: dict[int, Callable[[], Any]] = {
    DefaultRecordBatch.CODEC_GZIP: lambda: zlib.decompressobj(_GZIP),
    DefaultRecordBatch.CODEC_LZ4: lz4.frame.LZ4FrameDecompressor,
}


def _record(value: bytes, offset_delta: int) -> bytes:
    """A record of the wire format v2 without key and headers."""
    body = bytearray(b"\0")  # attributes
    for number in (0, offset_delta, -1, len(value)):  # timestamp, offset, no key, value
        encode_varint(number, body.append)
    body += value
    encode_varint(0, body.append)
    length = bytearray()
    encode_varint(len(body), length.append)
    return bytes(length + body)
