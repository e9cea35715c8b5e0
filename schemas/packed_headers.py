"""Read headers as Kafka packs them into a record 打包的事件头, and unpack them only on demand.

Nearly every record has exactly the standard headers, and comparing bytes shows it: unpacking nine
headers takes longer than decoding the event.

The format is a count, then of each header the length of the name, the name, the length of the
content (-1: none) and the content; numbers are zigzag varints (Kafka's record format v2).
"""

from collections.abc import Iterator, Sequence
from typing import Final, overload

Header = tuple[str, bytes]

# The name of headers that cannot be unpacked; no event has it, so the record is poison.
UNREADABLE = "unreadable-headers"


class PackedHeaders(Sequence[Header]):
    """The headers of one record, as a sequence of (name, content)."""

    __slots__ = ("_list", "packed")

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self._list: list[Header] | None = None

    def _unpacked(self) -> list[Header]:
        if self._list is None:
            try:
                self._list = unpack(self.packed)
            except (IndexError, ValueError):
                self._list = [(UNREADABLE, self.packed)]
        return self._list

    @overload
    def __getitem__(self, place: int) -> Header: ...
    @overload
    def __getitem__(self, place: slice) -> list[Header]: ...
    def __getitem__(self, place: int | slice) -> Header | list[Header]:
        return self._unpacked()[place]

    def __len__(self) -> int:
        return len(self._unpacked())

    def __iter__(self) -> Iterator[Header]:
        return iter(self._unpacked())

    def __repr__(self) -> str:
        return repr(self._unpacked())


def unpack(packed: bytes) -> list[Header]:
    """Return the headers; missing content is None, a name that is no UTF-8 is escaped.

    Raises IndexError or ValueError if these bytes are no packed headers.
    """
    count, place = read_varint(packed, 0)
    if not 0 <= count <= len(packed):
        raise ValueError("a count of headers that cannot be")
    found: list[Header] = []
    for _ in range(count):
        name, place = packed_part(packed, place)
        content, place = packed_part(packed, place)
        if name is None:
            raise ValueError("a header without a name")
        # Kafka's type has no None here, but readers must expect it (docs/faults.md 17).
        found.append((name.decode("utf-8", "backslashreplace"), content))  # type: ignore[arg-type]
    if place != len(packed):
        raise ValueError("bytes after the last header")
    return found


def packed_part(packed: bytes, place: int) -> tuple[bytes | None, int]:
    length, place = read_varint(packed, place)
    if length == -1:
        return None, place
    end = place + length
    if length < 0 or end > len(packed):
        raise ValueError("a length that cannot be")
    return packed[place:end], end


def read_varint(packed: bytes, place: int) -> tuple[int, int]:
    """Return a zigzag varint of at most 64 bits, and the place after it.

    Raises IndexError if the bytes end, ValueError if the number has more bits.
    """
    number = packed[place]
    if number < 0x80:
        return (number >> 1) ^ -(number & 1), place + 1
    number = shift = 0
    while shift < 70:
        byte = packed[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), place
        shift += 7
    raise ValueError("a number of more than 64 bits")


_SHORT: Final = tuple(bytes([number << 1]) for number in range(0x40))


def varint(number: int) -> bytes:
    """Return the zigzag varint of a number of at most 64 bits."""
    if 0 <= number < 0x40:
        return _SHORT[number]
    rest = number << 1 ^ number >> 63
    made = bytearray()
    while rest > 0x7F:
        made.append(rest & 0x7F | 0x80)
        rest >>= 7
    made.append(rest)
    return bytes(made)


def pack(headers: Sequence[Header]) -> bytes:
    """Return the packed form of headers that all have content."""
    parts = [varint(len(headers))]
    for name, content in headers:
        parts += (packed_text(name.encode()), packed_text(content))
    return b"".join(parts)


def packed_text(content: bytes) -> bytes:
    return varint(len(content)) + content
