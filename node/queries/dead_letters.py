"""Dead letters 死信 as people look at them: without their payload, unless that is asked for."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from psycopg2.extras import RealDictCursor

from node.postgres.connection import Cursor
from node.runtime.errors import PetitionLinkError

OPEN: Final = "open"
REPLAYED: Final = "replayed"
DISCARDED: Final = "discarded"

_ABOUT = """
    id, topic, partition, "offset", reason, detail, status, created_at,
    extract(epoch from now() - created_at)::float as age_seconds,
    coalesce(octet_length(value), 0) as size
"""
_LIST = f"""
    select {_ABOUT} from dead_letter
    where id > %(after)s and (%(status)s::text is null or status = %(status)s)
        and (%(reason)s::text is null or reason = %(reason)s)
        and (%(topic)s::text is null or topic = %(topic)s)
    order by id limit %(limit)s
"""
_SHOW = f"""
    select {_ABOUT}, recorded_at, octet_length(record_key) as key_size, headers, actor,
           resolved_at, resolution
    from dead_letter where id = %s
"""
_PAYLOAD = "select record_key, value, headers from dead_letter where id = %s"
_OPEN_IDS = """
    select id from dead_letter where status = 'open' and reason = %s and id > %s
    order by id limit 500
"""


Headers = list[tuple[str, bytes | None]]


class Selection(NamedTuple):
    """Which letters: None is any; `after` is the last id of the page before."""

    status: str | None = OPEN
    reason: str | None = None
    topic: str | None = None
    after: int = 0
    limit: int = 50


class Payload(NamedTuple):
    """The original bytes; None where the record had none."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def letters(cursor: RealDictCursor, selection: Selection) -> list[dict[str, Any]]:
    """A page of letters in the order of their ids."""
    cursor.execute(_LIST, selection._asdict())
    return [dict(row) for row in cursor]


def letter(cursor: RealDictCursor, id_: int) -> dict[str, Any]:
    """All about a letter, its headers as bytes; `PetitionLinkError` if there is none."""
    cursor.execute(_SHOW, (id_,))
    row = cursor.fetchone()
    if row is None:
        raise unknown(id_)
    return {**row, "headers": headers_of(row["headers"])}


def payload(cursor: Cursor, id_: int) -> Payload:
    """The original bytes of a letter; `PetitionLinkError` if there is none."""
    cursor.execute(_PAYLOAD, (id_,))
    row = cursor.fetchone()
    if row is None:
        raise unknown(id_)
    key, value, headers = row
    return Payload(bytes_of(key), bytes_of(value), headers_of(headers))


def open_ids(cursor: Cursor, reason: str) -> Iterator[int]:
    """The open letters of a reason; those that are made meanwhile may or may not be among them."""
    last = 0
    while True:
        cursor.execute(_OPEN_IDS, (reason, last))
        ids = [id_ for (id_,) in cursor.fetchall()]
        if not ids:
            return
        yield from ids
        last = ids[-1]


def unknown(id_: int) -> PetitionLinkError:
    """There is no such letter."""
    return PetitionLinkError(
        f"dead letter {id_} is unknown to this node: `petitionlink deadletters list --status all` "
        "shows which there are"
    )


def bytes_of(stored: memoryview | None) -> bytes | None:
    """A column of bytes as bytes."""
    return None if stored is None else bytes(stored)


def headers_of(stored: Sequence[Sequence[Any]]) -> Headers:
    """The headers as they came, from [[name, base64 or null], …]."""
    return [(name, None if one is None else base64.b64decode(one)) for name, one in stored]
