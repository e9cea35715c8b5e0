"""Checking and writing a good record in one pass 写入, from the rules of its fields.

An import writes thousands of records a second; checking each first and then letting fastavro look
at every value again took a fifth of its time. A writer here knows only good values: at anything
else it gives up, and `schemas.codec` goes the slow way, which finds out what is wrong and says so.
A test holds both ways to the same bytes.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

from schemas.catalogue import Schema
from schemas.limits import UUID_PATTERN
from schemas.packed_headers import varint
from schemas.rules import Rule, rules_of

# Appends the bytes of a value, or raises `NotGood`.
Write = Callable[[Any, Callable[[bytes], None]], None]

_length: Final = lru_cache(maxsize=8192)(varint)
_uuid: Final = re.compile(UUID_PATTERN).fullmatch


class NotGood(ValueError):
    """A value that only the slow way can judge."""


@cache
def record_writer(schema: Schema) -> Write:
    """The writer of whole records of this schema, without the frame."""
    return _fields_writer(rules_of(schema))


def _writer(rule: Rule) -> Write:
    (kind,) = rule.types - {type(None)}
    write = _WRITERS[kind](rule)
    return _or_null(write) if type(None) in rule.types else write


def _fields_writer(rules: dict[str, Rule]) -> Write:
    fields = [(name, _writer(rule)) for name, rule in rules.items()]
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


def _text_writer(rule: Rule) -> Write:
    low, high, is_uuid = rule.low, rule.high, rule.meaning == "uuid"

    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if type(value) is not str or "\0" in value or not low <= len(value) <= high:
            raise NotGood
        if is_uuid and not _uuid(value):
            raise NotGood
        content = value.encode()
        add(_length(len(content)) + content)

    return write


def _number_writer(rule: Rule) -> Write:
    low, high = rule.low, rule.high

    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if type(value) is not int or not low <= value <= high:
            raise NotGood
        add(_number(value))

    return write


# Instants of our time, zigzag, have between 50 and 56 bits: eight groups of seven.
_EIGHT_LOW: Final = 1 << 49
_EIGHT_HIGH: Final = 1 << 56


def _number(value: int) -> bytes:
    """The zigzag varint of a long; most are small, or instants."""
    rest = value << 1
    if not _EIGHT_LOW <= rest < _EIGHT_HIGH:
        if value < 0:  # an instant before 1970
            raise NotGood
        return varint(value)
    return bytes(
        (
            *(rest & 127 | 128, rest >> 7 & 127 | 128, rest >> 14 & 127 | 128),
            *(rest >> 21 & 127 | 128, rest >> 28 & 127 | 128, rest >> 35 & 127 | 128),
            *(rest >> 42 & 127 | 128, rest >> 49),
        )
    )


def _flag_writer(_rule: Rule) -> Write:
    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if value is True:
            add(b"\x01")
        elif value is False:
            add(b"\x00")
        else:
            raise NotGood

    return write


def _bytes_writer(_rule: Rule) -> Write:
    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if type(value) is not bytes:
            raise NotGood
        add(_length(len(value)) + value)

    return write


def _list_writer(rule: Rule) -> Write:
    low, high = rule.low, rule.high
    assert rule.items
    write_item = _writer(rule.items)

    def write(value: Any, add: Callable[[bytes], None]) -> None:
        if type(value) is not list or not low <= len(value) <= high:
            raise NotGood
        if value:
            add(varint(len(value)))
            for item in value:
                write_item(item, add)
        add(b"\x00")

    return write


def _record_writer(rule: Rule) -> Write:
    assert rule.fields
    return _fields_writer(rule.fields)


_WRITERS: Final[dict[type, Callable[[Rule], Write]]] = {
    str: _text_writer,
    int: _number_writer,
    bool: _flag_writer,
    bytes: _bytes_writer,
    list: _list_writer,
    dict: _record_writer,
}
