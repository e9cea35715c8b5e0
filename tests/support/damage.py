"""Damage to a batch in the broker's log, on disk, as a failing disk or a bug would do it."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from crc32c import crc32c

from node.kafka.decompression import codec_name
from node.localstack import LocalStack

_HEAD = struct.Struct(">qi")  # base offset, length of what follows
_CRC_AT, _ATTRIBUTES_AT = 17, 21
_UNKNOWN_CODEC = 5


@contextmanager
def damaged(stack: LocalStack, topic: str, partition: int, offset: int) -> Iterator[None]:
    """The last byte of the batch at this offset is another one inside the block."""
    path, place, length = _batch(stack, topic, partition, offset)
    with _changed(path, place + length - 1, lambda old: bytes([old[0] ^ 1]), 1):
        yield


@contextmanager
def of_unknown_codec(stack: LocalStack, topic: str, partition: int, offset: int) -> Iterator[None]:
    """The batch says a codec that nobody knows inside the block, and its checksum is right."""
    path, place, length = _batch(stack, topic, partition, offset)

    def change(old: bytes) -> bytes:
        batch = bytearray(old)
        batch[_ATTRIBUTES_AT + 1] = batch[_ATTRIBUTES_AT + 1] & ~7 | _UNKNOWN_CODEC
        batch[_CRC_AT:_ATTRIBUTES_AT] = struct.pack(">I", crc32c(bytes(batch[_ATTRIBUTES_AT:])))
        return bytes(batch)

    with _changed(path, place, change, length):
        yield


def codecs_in(stack: LocalStack, topic: str) -> set[str]:
    """Return the codecs of all batches in the files of a topic."""
    found = set()
    for path in (stack.folder / "kafka" / "data").glob(f"{topic}-*/*.log"):
        log, place = path.read_bytes(), 0
        while place < len(log):
            found.add(codec_name(log[place + _ATTRIBUTES_AT + 1] & 7))
            place += _HEAD.size + _HEAD.unpack_from(log, place)[1]
    return found


def _batch(stack: LocalStack, topic: str, partition: int, offset: int) -> tuple[Path, int, int]:
    """Return the file, the place in it and the length of a batch, once it is there."""
    folder = stack.folder / "kafka" / "data" / f"{topic}-{partition}"
    path = [one for one in sorted(folder.glob("*.log")) if int(one.stem) <= offset][-1]
    log = path.read_bytes()
    place = 0
    while True:
        base, rest = _HEAD.unpack_from(log, place)
        if base == offset:
            return path, place, _HEAD.size + rest
        place += _HEAD.size + rest


@contextmanager
def _changed(
    path: Path, place: int, change: Callable[[bytes], bytes], length: int
) -> Iterator[None]:
    with path.open("r+b") as file:
        file.seek(place)
        before = file.read(length)
        file.seek(place)
        file.write(change(before))
        file.flush()
        try:
            yield
        finally:
            file.seek(place)
            file.write(before)
