"""Our writer of records gives the bytes of fastavro, and judges as the check does."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from support import golden
from support.events import REGISTERED, record_of, registered, unchecked

from schemas.catalogue import EVENTS_FOLDER, Schema, catalogue
from schemas.codec import FRAME_BYTES
from schemas.errors import Invalid
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS
from schemas.validation.checked_writer import NotGood, record_writer
from schemas.validation.record_check import check_record

# One of each kind, and each at its borders: what some field must not be.
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 63, 64, 1 << 31, 1 << 53, 1 << 62, 1 << 80, 0.5, "", "x", "a\0b"),
    *("字" * 70_000, b"", b"x", [], ["x"], [1], {}, MIN_INSTANT_MICROS, MAX_INSTANT_MICROS),
    *(MAX_INSTANT_MICROS + 1, "\ud800", "0195533C-0000-7000-8000-000000000000"),
)


def quick(schema: Schema, record: dict[str, Any]) -> bytes:
    parts: list[bytes] = []
    record_writer(schema)(record, parts.append)
    return b"".join(parts)


def places(record: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the path of every value inside."""
    parts: Any = ()
    if isinstance(record, dict):
        parts = record.items()
    elif isinstance(record, list):
        parts = enumerate(record)
    for name, part in parts:
        yield (*path, name)
        yield from places(part, (*path, name))


def changed(record: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(record)
    inside: Any = result
    for name in path[:-1]:
        inside = inside[name]
    inside[path[-1]] = value
    return result


@pytest.mark.parametrize("name", golden.names())
def test_every_golden_example_is_written_byte_for_byte(name: str) -> None:
    example = golden.load(name, EVENTS_FOLDER)
    schema = catalogue().by_id[example.schema["id"]]
    assert quick(schema, example.record) == example.value[FRAME_BYTES:]


@pytest.mark.parametrize("name", golden.names())
def test_what_is_written_is_what_fastavro_writes_and_the_rest_is_refused_with_a_reason(
    name: str,
) -> None:
    """Both ways of judging a value must agree: the writer only gives up, the check says why."""
    example = golden.load(name, EVENTS_FOLDER)
    schema = catalogue().by_id[example.schema["id"]]
    refused = 0
    for path in places(example.record):
        for value in _VALUES:
            record = changed(example.record, path, value)
            try:
                check_record(schema, record)
            except Invalid:
                refused += 1
                with pytest.raises((ValueError, KeyError)):
                    quick(schema, record)
            else:
                assert quick(schema, record) == unchecked(schema, record)[FRAME_BYTES:]
    assert refused


def test_an_unknown_or_missing_field_is_not_written() -> None:
    schema, record = catalogue().by_type[REGISTERED], record_of(registered())
    for wrong in ({**record, "more": 1}, {k: v for k, v in record.items() if k != "title"}):
        with pytest.raises((NotGood, KeyError)):
            quick(schema, wrong)
    renamed = {("titel" if name == "title" else name): value for name, value in record.items()}
    with pytest.raises((NotGood, KeyError)):
        quick(schema, renamed)
