"""The outcome 提交结果 of a transaction whose COMMIT was never answered.

A connection that is lost at that moment leaves two possibilities, and only Postgres knows which.
"""

from __future__ import annotations

import time

from node.postgres.connection import Connection, Cursor
from node.runtime.errors import Transient

# Once its client is gone a backend ends its commit within the time of one write to the disk.
_LONGEST_COMMIT_SECONDS = 5.0
_ASK_SECONDS = 0.02
_STATUS = "select pg_xact_status(%s::text::xid8)"


def transaction_id(cursor: Cursor) -> str:
    """The id of the transaction that is open, to ask for its outcome by."""
    cursor.execute("select pg_current_xact_id()::text")
    row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def was_committed(connection: Connection, transaction: str) -> bool:
    """Whether a transaction of another connection went through.

    Waits a few seconds for one that still runs, then raises `Transient`.
    """
    deadline = time.monotonic() + _LONGEST_COMMIT_SECONDS
    while True:
        with connection, connection.cursor() as cursor:
            cursor.execute(_STATUS, (transaction,))
            row = cursor.fetchone()
        if row != ("in progress",):
            return row == ("committed",)
        if time.monotonic() > deadline:
            raise Transient("a commit still runs whose connection is gone")
        time.sleep(_ASK_SECONDS)
