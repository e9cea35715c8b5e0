"""Whatever bytes come, they are an event or poison; whatever text goes out comes back."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.events import REGISTERED, record_of, registered

from schemas.catalogue import catalogue
from schemas.codec import decode, encode
from schemas.envelope import decode_envelope
from schemas.errors import Undecodable
from schemas.event import ENVELOPE_FIELDS
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS
from schemas.wire import read_event, wire_headers

# CJK extension B and others beyond the BMP take four bytes and two halves in UTF-16.
RARE = st.characters(min_codepoint=0x20000, max_codepoint=0x2A6DF)
LETTERS = st.one_of(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), RARE)
INSTANTS = st.integers(MIN_INSTANT_MICROS, MAX_INSTANT_MICROS)
CLOCK = st.fixed_dictionaries(
    {
        "clock": st.text(LETTERS, max_size=8),
        "started_at": INSTANTS,
        "due_at": INSTANTS,
        "provisional": st.booleans(),
        "calendar": st.text(LETTERS, max_size=60),
    }
)
SEALED = st.fixed_dictionaries(
    {
        "suite": st.text(LETTERS, max_size=64),
        "nonce": st.binary(),
        "ciphertext": st.binary(),
        "keys": st.just([]),
    }
)
BODY = st.fixed_dictionaries(
    {
        "title": st.text(LETTERS, min_size=1, max_size=200),
        "text": st.text(LETTERS, max_size=4_000),
        "persons": st.integers(1, 1_000_000),
        "received_at": INSTANTS,
        "joint_signed": st.booleans(),
        "accused": st.lists(st.text(LETTERS), max_size=5),
        "repeat_of": st.none() | st.text(LETTERS, max_size=64),
        "petitioner": st.none() | SEALED,
        "clocks": st.lists(CLOCK, max_size=3),
    }
)
GOOD = registered().value


@given(BODY, INSTANTS, st.integers(1, 2**53 - 1))
def test_a_registered_event_comes_back_as_it_was_sent(
    body: dict[str, Any], occurred_at: int, version: int
) -> None:
    event = registered(body, occurred_at=occurred_at, version=version)
    assert read_event(event.key, event.value, wire_headers(event)) == event
    assert encode(catalogue().by_type[REGISTERED], record_of(event)) == event.value


def is_event_or_poison(value: bytes) -> None:
    """Decodes, or raises nothing but Undecodable; in each of the ways in."""
    with contextlib.suppress(Undecodable):
        decode(value)
    with contextlib.suppress(Undecodable):
        assert set(decode_envelope(value)) == set(ENVELOPE_FIELDS)
    with contextlib.suppress(Undecodable):
        read_event(None, value, [])


@given(st.binary(max_size=500))
def test_random_bytes_are_poison(value: bytes) -> None:
    is_event_or_poison(value)


@settings(max_examples=500)
@given(st.integers(0, 31), st.binary(max_size=500))
def test_random_bytes_in_a_good_frame_are_an_event_or_poison(number: int, rest: bytes) -> None:
    is_event_or_poison(b"\0" + number.to_bytes(4) + rest)


@settings(max_examples=500)
@given(st.integers(5, len(GOOD) - 1), st.binary(min_size=1, max_size=12))
def test_a_damaged_event_is_an_event_or_poison(place: int, damage: bytes) -> None:
    is_event_or_poison(GOOD[:place] + damage + GOOD[place + len(damage) :])


def test_an_event_cut_at_any_byte_is_poison() -> None:
    for length in range(len(GOOD)):
        with pytest.raises(Undecodable):
            decode(GOOD[:length])


@given(st.binary(min_size=1, max_size=50))
def test_an_event_with_something_after_it_is_poison(rest: bytes) -> None:
    with pytest.raises(Undecodable, match=r"^trailing_bytes: "):
        decode(GOOD + rest)
