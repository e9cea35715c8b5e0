"""Cursors 游标: where a page ends, as opaque text that a client gives back.

A cursor names what it is for, so that one of another list or another node is refused instead of
silently giving a wrong page.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from node.queries.cases import Place
from node.queries.feed import EventPlace, FeedPlace
from node.web.problems import INVALID, ProblemError
from schemas.limits import MAX_CASE_ID_CHARACTERS, MAX_NUMBER, UUID_PATTERN

MAX_CHARACTERS = 300
_LARGEST_XID = 2**64 - 1
_LARGEST_ROW = 2**63 - 1
_UUID = re.compile(UUID_PATTERN)


def case_cursor(row: dict[str, Any]) -> str:
    """Behind this case of a list."""
    registered = row["registered_at"]
    return _written("cases", [registered and registered.isoformat(), row["case_id"]])


def case_place(cursor: str) -> Place:
    """What `case_cursor` wrote; a problem if it is something else."""
    match _read("cases", cursor):
        case [str() | None as at, str(case_id)] if _is_case_id(case_id):
            return Place(None if at is None else _instant(at), case_id)
    raise _wrong()


def feed_cursor(node: str, place: FeedPlace) -> str:
    """Behind this place of the node's feed."""
    return _written(f"feed-{node}", place)


def feed_place(node: str, cursor: str) -> FeedPlace:
    """What `feed_cursor` wrote; a problem if it is something else."""
    match _read(f"feed-{node}", cursor):
        case [int(transaction), int(row)] if (
            0 <= transaction <= _LARGEST_XID and 0 <= row <= _LARGEST_ROW
        ):
            return FeedPlace(transaction, row)
    raise _wrong()


def event_cursor(row: dict[str, Any]) -> str:
    """Behind this event of a case."""
    return _written("events", [row["version"], row["emitter"], row["event_id"]])


def event_place(cursor: str) -> EventPlace:
    """What `event_cursor` wrote; a problem if it is something else."""
    match _read("events", cursor):
        case [int(version), str(emitter), str(event_id)] if 0 <= version <= MAX_NUMBER:
            if _UUID.fullmatch(event_id) and "\0" not in emitter:
                return EventPlace(version, emitter, event_id)
    raise _wrong()


def _written(purpose: str, values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([purpose, *values])).decode().rstrip("=")


def _read(purpose: str, cursor: str) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        value = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        raise _wrong() from None
    if (
        not isinstance(value, list)
        or value[:1] != [purpose]
        or any(isinstance(one, bool) for one in value)
    ):
        raise _wrong()
    return value[1:]


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong() from None
    if instant.tzinfo is None:
        raise _wrong()
    try:
        return instant.astimezone(UTC)  # Postgres knows fewer zones than Python
    except OverflowError:
        raise _wrong() from None


def _is_case_id(text: str) -> bool:
    return 0 < len(text) <= MAX_CASE_ID_CHARACTERS and "\0" not in text


def _wrong() -> ProblemError:
    return ProblemError(
        INVALID, "after: this is no cursor of this list: take it from `next` of the page before"
    )
