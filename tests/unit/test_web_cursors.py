"""Cursors: what was written is read again, anything else is a problem and never an error."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.entrypoints.web import cursors
from node.entrypoints.web.problems import ProblemError
from node.queries.cases import CasePlace
from node.queries.database_history import MOST_EPOCHS, FeedPlace
from node.queries.feed import EventPlace

CASE_IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
INSTANTS = st.none() | st.datetimes(
    datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)
)


@given(INSTANTS, CASE_IDS)
def test_a_place_in_a_list_is_read_as_it_was_written(at: datetime | None, case_id: str) -> None:
    written = cursors.case_cursor({"registered_at": at, "case_id": case_id})
    assert cursors.case_place(written) == CasePlace(at, case_id)
    assert written.isascii()
    assert "=" not in written


def test_another_zone_is_the_same_instant() -> None:
    at = datetime(2026, 3, 1, 8, tzinfo=timezone(timedelta(hours=8)))
    written = cursors.case_cursor({"registered_at": at, "case_id": "a"})
    assert cursors.case_place(written).registered_at == at


EPOCHS = st.lists(st.text("0123456789abcdef", min_size=10, max_size=10), min_size=1, max_size=8)


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), EPOCHS)
def test_a_place_in_the_feed_is_read_as_it_was_written(
    generation: int, transaction: int, row: int, epochs: list[str]
) -> None:
    place = FeedPlace(generation, transaction, row, tuple(epochs))
    written = cursors.feed_cursor("370000", place)
    assert cursors.feed_place("370000", written) == place
    assert len(written) <= cursors.MAX_CHARACTERS


def test_a_place_of_a_release_without_epochs_is_one_of_the_first_generation() -> None:
    older = "WyJmZWVkLTM3MDAwMCIsODAwLDEyXQ"  # ["feed-370000", 800, 12]
    assert cursors.feed_place("370000", older) == FeedPlace(1, 800, 12)


def test_epochs_that_cannot_be_are_a_problem() -> None:
    for epochs in ((), ("short",), ("0123'56789",), ("0123456789",) * (MOST_EPOCHS + 1)):
        with pytest.raises(ProblemError):
            cursors.feed_place("370000", cursors.feed_cursor("370000", FeedPlace(1, 1, 1, epochs)))


@given(st.integers(0, 2**53 - 1), st.uuids())
def test_a_place_among_events_is_read_as_it_was_written(version: int, event_id: object) -> None:
    row: dict[str, Any] = {"version": version, "emitter": "110000", "event_id": str(event_id)}
    assert cursors.event_place(cursors.event_cursor(row)) == EventPlace(**row)


@given(st.text(max_size=300))
def test_any_other_text_is_a_problem(text: str) -> None:
    for read in (cursors.case_place, cursors.event_place):
        with pytest.raises(ProblemError):
            read(text)
    with pytest.raises(ProblemError):
        cursors.feed_place("370000", text)


def test_a_cursor_belongs_to_its_list_and_its_node() -> None:
    beijing = cursors.feed_cursor("110000", FeedPlace(1, 1, 1, ("0123456789",)))
    with pytest.raises(ProblemError):
        cursors.feed_place("370000", beijing)
    with pytest.raises(ProblemError):
        cursors.case_place(beijing)
