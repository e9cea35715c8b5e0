"""Check and write a record in one pass 写入, from the specs of its fields.

An import writes thousands of records a second; a check before fastavro takes more than twice as
long (ADR 33). A writer raises `NotGood` for any bad value, and `schemas.validation.record_check`
finds what is wrong. A test compares the bytes with those of fastavro.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

from schemas.catalogue import Schema
from schemas.limits import is_uuid as _uuid
from schemas.packed_headers import varint
from schemas.validation.field_spec import UUID, FieldSpec, fields_of

# Appends the bytes of a value, or raises `NotGood`.
Write = Callable[[Any, Callable[[bytes], None]], None]

_length: Final = lru_cache(maxsize=8192)(varint)


class NotGood(ValueError):
    """The value may not be written; `schemas.validation.record_check` finds why."""


@cache
def record_writer(schema: Schema) -> Write:
    """Return the writer of whole records of this schema, without the frame."""
    return _fields_writer(fields_of(schema))


def _writer(field: FieldSpec) -> Write:
    write = _WRITERS[field.kind](field)
    return _or_null(write) if field.nullable else write


def _fields_writer(specs: dict[str, FieldSpec]) -> Write:
    fields = [(name, _writer(field)) for name, field in specs.items()]
    count = len(fields)

    def write(record: Any, add: Callable[[bytes], None]) -> None:
        if type(record) is not dict or len(record) != count:
            raise NotGood
        for name, write_field in fields:
            write_field(record[name], add)

    return write


def _or_null(write_value: Write) -> Write:
    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if value is None:
            add(b"\x00")
        else:
            add(b"\x02")
            write_value(value, add)

    return write


def _text_writer(field: FieldSpec) -> Write:
    low, high, is_uuid = field.low, field.high, field.meaning == UUID

    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if type(value) is not str or "\0" in value or not low <= len(value) <= high:
            raise NotGood
        if is_uuid and not _uuid(value):
            raise NotGood
        content = value.encode()
        add(_length(len(content)) + content)

    return write


def _number_writer(field: FieldSpec) -> Write:
    low, high = field.low, field.high

    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if type(value) is not int or not low <= value <= high:
            raise NotGood
        add(_number(value))

    return write


# Instants of our time, zigzag, have between 50 and 56 bits: eight groups of seven.
_EIGHT_LOW: Final = 1 << 49
_EIGHT_HIGH: Final = 1 << 56


def _number(value: int) -> bytes:
    """Return the zigzag varint of a long; most are small, or instants."""
    rest = value << 1
    if not _EIGHT_LOW <= rest < _EIGHT_HIGH:
        return varint(value)
    return bytes(
        (
            *(rest & 127 | 128, rest >> 7 & 127 | 128, rest >> 14 & 127 | 128),
            *(rest >> 21 & 127 | 128, rest >> 28 & 127 | 128, rest >> 35 & 127 | 128),
            *(rest >> 42 & 127 | 128, rest >> 49),
        )
    )


def _flag_writer(_field: FieldSpec) -> Write:
    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if value is True:
            add(b"\x01")
        elif value is False:
            add(b"\x00")
        else:
            raise NotGood

    return write


def _bytes_writer(_field: FieldSpec) -> Write:
    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if type(value) is not bytes:
            raise NotGood
        add(_length(len(value)) + value)

    return write


def _list_writer(field: FieldSpec) -> Write:
    low, high = field.low, field.high
    assert field.items
    write_item = _writer(field.items)

    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if type(value) is not list or not low <= len(value) <= high:
            raise NotGood
        if value:
            add(varint(len(value)))
            for item in value:
                write_item(item, add)
        add(b"\x00")

    return write


def _record_writer(field: FieldSpec) -> Write:
    assert field.fields
    return _fields_writer(field.fields)


_WRITERS: Final[dict[type, Callable[[FieldSpec], Write]]] = {
    str: _text_writer,
    int: _number_writer,
    bool: _flag_writer,
    bytes: _bytes_writer,
    list: _list_writer,
    dict: _record_writer,
}
