"""The flag of a recovering node 恢复中, which accepts its own events from its peers."""

from node.postgres.connection import Cursor
from node.postgres.statements import read_value

_RECOVERING = "select recovering_since is not null from node_state"
_BEGIN = "update node_state set recovering_since = coalesce(recovering_since, now())"
_END = "update node_state set recovering_since = null where recovering_since is not null"


def is_recovering(cursor: Cursor) -> bool:
    """Return whether a recovery was begun and not ended."""
    return bool(read_value(cursor, _RECOVERING))


def begin(cursor: Cursor) -> None:
    """Accept own events from peers from now on."""
    cursor.execute(_BEGIN)


def end(cursor: Cursor) -> bool:
    """Stop accepting them; return whether the node was recovering."""
    cursor.execute(_END)
    return bool(cursor.rowcount)
