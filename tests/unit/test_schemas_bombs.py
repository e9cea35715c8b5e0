"""Bytes made to exhaust a decoder are refused quickly and cost next to no memory."""

import time
import tracemalloc

import pytest
from support.bombs import cut_before, zigzag
from support.events import ENVELOPE, REGISTERED, registered, unchecked

from schemas.catalogue import Schema, catalogue
from schemas.codec import decode
from schemas.errors import MALFORMED, Undecodable
from schemas.evolution.resolution import expanded, unsuitable_types
from schemas.limits import MAX_VALUE_BYTES

SCHEMAS = list(catalogue().by_id.values())
MAX_GROWTH_BYTES = 50_000_000  # what a bomb may cost at most
# Of processor time, so that others on the machine do not count. A bomb that works takes minutes.
MAX_SECONDS = 20.0


THIRTY_MILLION_ITEMS = zigzag(30_000_000)
BOMBS = {
    "30 million items": THIRTY_MILLION_ITEMS,
    "30 million items, counted in bytes": zigzag(-30_000_000) + zigzag(1),
    "2^62 items": zigzag(2**62),
    "a length of 2^62": zigzag(2**62),
    "a negative length": zigzag(-1),
    "a very negative length": zigzag(-(2**63)),
    "a number that never ends": b"\xff" * 100_000,
    "the union member number 2^62": zigzag(2**62),
    "the union member number -1": zigzag(-1),
}


def costs(value: bytes) -> tuple[Undecodable | None, float, int]:
    """Return the error, the seconds of processor time and the peak of bytes that it takes to
    decode."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        decode(value)
        error = None
    except Undecodable as undecodable:
        error = undecodable
    seconds = time.process_time() - begun
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return error, seconds, peak


@pytest.mark.parametrize("kind", ["string", "array"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.type)
def test_a_bomb_in_any_field_of_any_type_is_refused(schema: Schema, kind: str) -> None:
    for start in cut_before(schema, kind):
        for name, bomb in BOMBS.items():
            error, seconds, peak = costs(start + bomb)
            assert error is not None, name
            assert error.reason == MALFORMED, name
            assert seconds < MAX_SECONDS, name
            assert peak < 1_000_000, name


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.type)
def test_no_type_nests_without_end_or_has_items_that_take_no_byte(schema: Schema) -> None:
    """This is why a value of MAX_VALUE_BYTES has at most as many items, and a fixed depth."""
    assert list(unsuitable_types(expanded(schema.avro), schema.file)) == []


def test_five_bytes_of_array_are_refused() -> None:
    """The record of a registered case has 30 million accused, and ends there."""
    start = next(iter(cut_before(catalogue().by_type[REGISTERED], "array")))
    assert len(THIRTY_MILLION_ITEMS) < 5
    assert costs(start + THIRTY_MILLION_ITEMS)[0] is not None


def test_the_densest_records_at_the_size_limit_stay_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.wire.encode", unchecked)
    room = MAX_VALUE_BYTES - 1_000
    corrections = [{"field": "", "value": ""}] * (room // 2)
    corrected = catalogue().by_type["petition.case.corrected.v1"]
    body = {**corrected.defaults(), "corrections": corrections, "reason": ""}
    dense = [
        registered({"accused": [""] * room}).value,
        unchecked(corrected, {**ENVELOPE, **body}),
    ]
    for value in dense:
        assert len(value) > MAX_VALUE_BYTES * 0.99
        error, seconds, peak = costs(value)
        assert error is None
        assert seconds < MAX_SECONDS
        assert peak < MAX_GROWTH_BYTES
