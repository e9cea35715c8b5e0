"""Idempotency keys 幂等键: a request that is sent again is answered again, not done again.

The answer to each command is written in the command's own transaction, so that after a crash in
the middle of a list the finished ones are known and the rest is done. The primary key decides
between two requests with one key that run at once: the later one's transaction rolls back.

The digest of a request is keyed, because a request may hold personal data. A query code is never
kept, so a repeated answer is without it.
"""

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
    """Another request with this key did the command at the same time: ours must roll back."""


class KeyReused(Exception):
    """The key was used with another request."""


class KeyedRequest(NamedTuple):
    """A request that carried a key."""

    key: str
    digest: str
    earlier_digests: tuple[str, ...] = ()


class AnswerKey(NamedTuple):
    """The key of one command's answer: its request, and its place in the request's list."""

    request: KeyedRequest
    place: int


def keyed_request(key: str, value: Any, secret: bytes, *earlier: bytes) -> KeyedRequest:
    """Return the request of `key` with this JSON value; spaces and order of names do not count.

    Answers that were kept under one of the `earlier` secrets are found too.
    """
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    digest, *others = (hmac.digest(each, canonical, "sha256").hex() for each in (secret, *earlier))
    return KeyedRequest(key, digest, tuple(others))


def read_answer(connection: Connection, key: AnswerKey) -> dict[str, Any] | None:
    """Return the answer that was kept under `key`, if any; raises `KeyReused`."""
    request = key.request
    with connection, connection.cursor() as cursor:
        cursor.execute(_READ, (request.key, key.place))
        row = cursor.fetchone()
    if row is None:
        return None
    digest, response = row
    if digest not in (request.digest, *request.earlier_digests):
        raise KeyReused
    kept: dict[str, Any] = response
    return kept


def keep_answer(cursor: Cursor, key: AnswerKey, response: dict[str, Any]) -> None:
    """Write the answer in the transaction of `cursor`; raises `AnsweredMeanwhile`."""
    request, kept = key.request, Json(response, dumps=json.dumps)
    cursor.execute(_WRITE, (request.key, key.place, request.digest, kept))
    if cursor.rowcount != 1:
        raise AnsweredMeanwhile
