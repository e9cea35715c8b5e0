"""Cursors 游标: the end of a page as opaque text, which a client sends back for the next page.

A cursor names its purpose, so that a cursor of another list or node is refused instead of silently
giving a wrong page.
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from node.entrypoints.web.problems import INVALID, ProblemError
from node.queries.cases import CasePlace
from node.queries.database_history import EPOCH_ID_CHARACTERS, MOST_EPOCHS, FeedPlace
from node.queries.feed import EventPlace
from schemas.limits import MAX_CASE_ID_CHARACTERS, MAX_NUMBER, UUID_PATTERN

MAX_CHARACTERS = 300
_LARGEST_GENERATION = 2**31 - 1
_LARGEST_XID = 2**64 - 1
_LARGEST_ROW = 2**63 - 1
_UUID = re.compile(UUID_PATTERN)


def case_cursor(row: dict[str, Any]) -> str:
    """Return the cursor after this case of a list."""
    registered = row["registered_at"]
    return _encode("cases", [registered and registered.isoformat(), row["case_id"]])


def case_place(cursor: str) -> CasePlace:
    """Return the place that `case_cursor` wrote; raises a problem for other text."""
    match _decode("cases", cursor):
        case [str() | None as at, str(case_id)] if _is_case_id(case_id):
            return CasePlace(None if at is None else _instant(at), case_id)
    raise _wrong()


def feed_cursor(node: str, place: FeedPlace) -> str:
    """Return the cursor after this place of the node's feed."""
    return _encode(f"feed-{node}", [*place.position, *place.epochs])


def feed_place(node: str, cursor: str) -> FeedPlace:
    """Return the place that `feed_cursor` wrote; raises a problem for other text.

    Cursors of releases before migration 12 have a transaction and a row only.
    """
    match _decode(f"feed-{node}", cursor):
        case [int(transaction), int(row)] if _is_position(0, transaction, row):
            return FeedPlace(1, transaction, row)
        case [int(generation), int(transaction), int(row), *epochs] if (
            epochs and len(epochs) <= MOST_EPOCHS and all(map(_is_epoch, epochs))
        ) and _is_position(generation, transaction, row):
            return FeedPlace(generation, transaction, row, tuple(map(str, epochs)))
    raise _wrong()


def _is_position(generation: int, transaction: int, row: int) -> bool:
    return (
        0 <= generation <= _LARGEST_GENERATION
        and 0 <= transaction <= _LARGEST_XID
        and 0 <= row <= _LARGEST_ROW
    )


def _is_epoch(value: object) -> bool:
    return isinstance(value, str) and len(value) == EPOCH_ID_CHARACTERS and value.isalnum()


def event_cursor(row: dict[str, Any]) -> str:
    """Return the cursor after this event of a case."""
    return _encode("events", [row["version"], row["emitter"], row["event_id"]])


def event_place(cursor: str) -> EventPlace:
    """Return the place that `event_cursor` wrote; raises a problem for other text."""
    match _decode("events", cursor):
        case [int(version), str(emitter), str(event_id)] if 0 <= version <= MAX_NUMBER:
            if _UUID.fullmatch(event_id) and "\0" not in emitter:
                return EventPlace(version, emitter, event_id)
    raise _wrong()


def _encode(purpose: str, values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([purpose, *values])).decode().rstrip("=")


def _decode(purpose: str, cursor: str) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        value = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        raise _wrong() from None
    if not isinstance(value, list) or value[:1] != [purpose]:
        raise _wrong()
    if any(isinstance(part, bool) for part in value):  # which would pass for an int
        raise _wrong()
    return value[1:]


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)  # Postgres knows fewer zones than Python
    except (ValueError, OverflowError):
        raise _wrong() from None
    raise _wrong()


def _is_case_id(text: str) -> bool:
    return 0 < len(text) <= MAX_CASE_ID_CHARACTERS and "\0" not in text


def _wrong() -> ProblemError:
    return ProblemError(
        INVALID, "after: this is no cursor of this list: take it from `next` of the page before"
    )
