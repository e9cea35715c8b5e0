"""Queries of dead letters 死信; the payload is read only on request."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from node.postgres.connection import Cursor
from node.postgres.statements import read_rows
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


class LetterSelection(NamedTuple):
    """A choice of letters: None is any; `after` is the last id of the page before."""

    status: str | None = OPEN
    reason: str | None = None
    topic: str | None = None
    after: int = 0
    limit: int = 50


class Payload(NamedTuple):
    """The original bytes of a record; None where it had none."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def letters(cursor: Cursor, selection: LetterSelection) -> list[dict[str, Any]]:
    """Return a page of letters in the order of their ids."""
    return read_rows(cursor, _LIST, selection._asdict())


def letter(cursor: Cursor, id_: int) -> dict[str, Any]:
    """Return all about a letter, its headers as bytes; raises `PetitionLinkError` if unknown."""
    rows = read_rows(cursor, _SHOW, (id_,))
    if not rows:
        raise unknown(id_)
    return {**rows[0], "headers": headers_of(rows[0]["headers"])}


def payload(cursor: Cursor, id_: int) -> Payload:
    """Return the original bytes of a letter; raises `PetitionLinkError` if unknown."""
    cursor.execute(_PAYLOAD, (id_,))
    row = cursor.fetchone()
    if row is None:
        raise unknown(id_)
    key, value, headers = row
    return Payload(bytes_of(key), bytes_of(value), headers_of(headers))


def open_ids(cursor: Cursor, reason: str) -> Iterator[int]:
    """Yield the open letters of a reason; those made meanwhile may or may not be among them."""
    last = 0
    while True:
        cursor.execute(_OPEN_IDS, (reason, last))
        ids = [id_ for (id_,) in cursor.fetchall()]
        if not ids:
            return
        yield from ids
        last = ids[-1]


def unknown(id_: int) -> PetitionLinkError:
    return PetitionLinkError(
        f"dead letter {id_} is unknown to this node: `petitionlink deadletters list --status all` "
        "shows which there are"
    )


def bytes_of(stored: memoryview | None) -> bytes | None:
    return None if stored is None else bytes(stored)


def headers_of(stored: Sequence[Sequence[Any]]) -> Headers:
    """Return the headers as they came, from [[name, base64 or null], …]."""
    return [(name, None if text is None else base64.b64decode(text)) for name, text in stored]
