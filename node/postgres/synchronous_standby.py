"""Commits that wait for a synchronous standby that does not confirm them.

Postgres acknowledges such a commit only when the standby comes back. The watchdog gives up the
wait, but the backend goes on with it and keeps its locks; cancelling it would make the commit
visible though nothing but this server holds it, which the administrator has ruled out. So a process
that was cut off opens no new session that writes until the old commits are confirmed: else each try
would leave one more backend, until no connection is free.
"""

from __future__ import annotations

from node.postgres.connection import Cursor
from node.runtime.errors import Transient

# A standby that is slow and alive confirms within this time.
_PATIENCE_SECONDS = 5.0
# Other roles' wait events are told only to a member of pg_monitor; those of our own always.
_OLDEST = """
    select coalesce(max(extract(epoch from clock_timestamp() - state_change)), 0)::float
    from pg_stat_activity where datname = current_database() and wait_event = 'SyncRep'
"""


def unconfirmed_seconds(cursor: Cursor) -> float:
    """How long the oldest commit of this database has waited for a standby; 0 if none has long."""
    cursor.execute(_OLDEST)
    (seconds,) = cursor.fetchone() or (0.0,)
    return float(seconds) if seconds > _PATIENCE_SECONDS else 0.0


def description(seconds: float) -> str:
    """One line with the cure for whoever operates the database."""
    return (
        f"commits have waited for {seconds:.0f} s for a synchronous standby that does not confirm "
        "them: bring it back, or take it out of synchronous_standby_names"
    )


def refuse_while_unconfirmed(cursor: Cursor) -> None:
    """Raise `Transient` while commits wait for a standby: nothing could be written now."""
    seconds = unconfirmed_seconds(cursor)
    if seconds:
        raise Transient(description(seconds))
