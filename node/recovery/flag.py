"""Whether this node is recovering 恢复中: then its own events may come home from its peers."""

from __future__ import annotations

from node.postgres.connection import Cursor

_RECOVERING = "select recovering_since is not null from node_state"
_BEGIN = "update node_state set recovering_since = coalesce(recovering_since, now())"
_END = "update node_state set recovering_since = null where recovering_since is not null"


def is_recovering(cursor: Cursor) -> bool:
    """Whether a recovery was begun and not ended."""
    cursor.execute(_RECOVERING)
    return cursor.fetchone() == (True,)


def begin(cursor: Cursor) -> None:
    """From now on own events may come home."""
    cursor.execute(_BEGIN)


def end(cursor: Cursor) -> bool:
    """They may not any more; whether the node was recovering."""
    cursor.execute(_END)
    return bool(cursor.rowcount)
