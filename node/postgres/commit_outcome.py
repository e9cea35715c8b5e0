"""The outcome 提交结果 of a transaction whose connection was lost during COMMIT.

Only Postgres knows whether it was committed.
"""

import time

from node.postgres.connection import Connection, Cursor
from node.postgres.statements import read_value
from node.runtime.errors import Transient

# A backend whose client is gone ends its commit within the time of one write to the disk.
_LONGEST_COMMIT_SECONDS = 5.0
_ASK_SECONDS = 0.02
_STATUS = "select pg_xact_status(%s::text::xid8)"


def transaction_id(cursor: Cursor) -> str:
    """Return the id of the open transaction, for `was_committed`."""
    return str(read_value(cursor, "select pg_current_xact_id()::text"))


def was_committed(connection: Connection, transaction: str) -> bool:
    """Return whether a transaction of another connection was committed.

    Waits a few seconds for one that still runs, then raises `Transient`.
    """
    deadline = time.monotonic() + _LONGEST_COMMIT_SECONDS
    while True:
        with connection, connection.cursor() as cursor:
            status = read_value(cursor, _STATUS, (transaction,))
        if status != "in progress":
            return bool(status == "committed")
        if time.monotonic() > deadline:
            raise Transient("a commit still runs whose connection is gone")
        time.sleep(_ASK_SECONDS)
