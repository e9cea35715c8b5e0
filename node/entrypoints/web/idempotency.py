"""Idempotency keys 幂等键: a request that is sent again is answered again, not done again.

The answer of each command is written in the command's own transaction, so that after a crash in
the middle of a list the done ones are known and the rest is done. The primary key decides
between two requests with one key that run at once: the later one's transaction rolls back.

The digest of a request is keyed, for a request may hold personal data; a query code is never
kept, so an answer that is given again is without it.
"""

from __future__ import annotations

import hmac
import json
from typing import Any, NamedTuple

from psycopg2.extras import Json

from node.postgres.connection import Connection, Cursor

_WRITE = (
    "insert into idempotent_result (key, place, request_digest, response) "
    "values (%s, %s, %s, %s) on conflict do nothing"
)
_READ = "select request_digest, response from idempotent_result where key = %s and place = %s"


class AnsweredMeanwhile(Exception):
    """Another request with this key did the command while we did: ours must roll back."""


class KeyReused(Exception):
    """The key was used with another request."""


class Request(NamedTuple):
    """A request that carried a key."""

    key: str
    digest: str
    earlier_digests: tuple[str, ...] = ()


def request_of(key: str, value: Any, secret: bytes, *earlier: bytes) -> Request:
    """The request of `key` with this JSON value, whatever its spaces and order of names.

    With the `earlier` secrets, answers that were kept under them are found too.
    """
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    digest, *others = (hmac.digest(one, canonical, "sha256").hex() for one in (secret, *earlier))
    return Request(key, digest, tuple(others))


def answered(connection: Connection, request: Request, place: int) -> dict[str, Any] | None:
    """The answer that the command at `place` has got already; raises `KeyReused`."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_READ, (request.key, place))
        row = cursor.fetchone()
    if row is None:
        return None
    digest, response = row
    if digest not in (request.digest, *request.earlier_digests):
        raise KeyReused
    kept: dict[str, Any] = response
    return kept


def keep(cursor: Cursor, request: Request, place: int, response: dict[str, Any]) -> None:
    """Write the answer in the transaction of `cursor`; raises `AnsweredMeanwhile`."""
    cursor.execute(_WRITE, (request.key, place, request.digest, Json(response, dumps=json.dumps)))
    if cursor.rowcount != 1:
        raise AnsweredMeanwhile
