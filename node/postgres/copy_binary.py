"""Rows in Postgres' binary COPY format (manual: COPY, "Binary Format").

A cell is a four-byte length and the type's binary form; most functions here make the cell of one
type, NULL for None. Binary COPY was measured 10–20 % faster than text.
"""

from collections.abc import Iterable, Sequence
from datetime import date as Date  # noqa: N812 - it is a class
from functools import lru_cache
from io import BytesIO
from struct import Struct

from node.postgres.connection import Cursor

NULL = b"\xff\xff\xff\xff"

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_LENGTH = Struct(">i").pack
_COUNT = Struct(">h").pack
_INT4 = Struct(">ii").pack
_INT8 = Struct(">iq").pack
# Postgres counts from 2000-01-01, the epoch from 1970-01-01.
_MICROS_TO_2000 = 946_684_800_000_000
_DAY_2000 = 730_120  # 2000-01-01 as an ordinal
_TEXT_OID = Struct(">i").pack(25)
_INT4_OID = Struct(">i").pack(23)
_JSONB_VERSION = b"\x01"
_TRUE = b"\x00\x00\x00\x01\x01"
_FALSE = b"\x00\x00\x00\x01\x00"
# One write to the socket per this many bytes; measured best in megabytes.
_SEND_BYTES = 8 * 1024 * 1024


def raw(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


def text(value: str | None) -> bytes:
    if value is None:
        return NULL
    encoded = value.encode()  # without `raw`: these cells are made most often
    return _LENGTH(len(encoded)) + encoded


@lru_cache(maxsize=1024)
def word(value: str | None) -> bytes:
    """Return a text cell, or NULL, of a value that repeats: a node, a state, a type, a topic.

    Cells are cached, so do not use it for texts that others choose.
    """
    return text(value)


def uuid(value: str) -> bytes:
    return b"\x00\x00\x00\x10" + bytes.fromhex(value.replace("-", ""))


def int4(value: int | None) -> bytes:
    return NULL if value is None else _INT4(4, value)


def int8(value: int | None) -> bytes:
    return NULL if value is None else _INT8(8, value)


def boolean(value: bool) -> bytes:
    return _TRUE if value else _FALSE


def instant(micros: int | None) -> bytes:
    """Return a timestamptz cell from micros since the epoch, or NULL."""
    return NULL if micros is None else _INT8(8, micros - _MICROS_TO_2000)


def date(day: Date) -> bytes:
    return _INT4(4, day.toordinal() - _DAY_2000)


def jsonb(value: bytes | None) -> bytes:
    """Return a jsonb cell from JSON text in UTF-8, or NULL."""
    return NULL if value is None else _LENGTH(len(value) + 1) + _JSONB_VERSION + value


def text_array(values: list[str]) -> bytes:
    return _array(_TEXT_OID, [*map(text, values)])


def int4_array(values: Sequence[int]) -> bytes:
    return _array(_INT4_OID, [*map(int4, values)])


def _array(oid: bytes, cells: Sequence[bytes]) -> bytes:
    head = _INT4(1, 0) + oid + _INT4(len(cells), 1) if cells else _INT4(0, 0) + oid
    return raw(head + b"".join(cells))


def count(cells: int) -> bytes:
    """Return the header of a row that has `cells` cells."""
    return _COUNT(cells)


def copy(cursor: Cursor, table: str, columns: str, rows: Iterable[bytes], before: str = "") -> None:
    """COPY rows of `columns`, in order, into `table`; both are constants.

    A row is `count` and its cells. `before` is a statement that is sent in the same message.
    """
    payload = BytesIO(b"".join((_HEADER, *rows, _TRAILER)))
    statement = f"{before}copy {table} ({columns}) from stdin with (format binary)"
    cursor.copy_expert(statement, payload, _SEND_BYTES)
