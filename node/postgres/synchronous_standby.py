"""Detection of commits that wait for a synchronous standby, which does not confirm them.

Postgres acknowledges such a commit only when the standby is back. The watchdog gives up, but the
backend goes on waiting and keeps its locks; cancelling it would make the commit visible though only
this server has it, which the administrator has ruled out. So a process opens no new session that
writes until the old commits are confirmed, or each try would use up one more backend.
"""

from node.postgres.connection import Cursor
from node.postgres.statements import read_value
from node.runtime.errors import Transient

# A slow standby that is alive confirms within this time.
_PATIENCE_SECONDS = 5.0
# Postgres shows wait events of other roles only to a member of pg_monitor; our own always.
_OLDEST = """
    select coalesce(max(extract(epoch from clock_timestamp() - state_change)), 0)::float
    from pg_stat_activity where datname = current_database() and wait_event = 'SyncRep'
"""


def unconfirmed_seconds(cursor: Cursor) -> float:
    """Return how long the oldest commit has waited for a standby; 0 if not unusually long."""
    seconds = float(read_value(cursor, _OLDEST))
    return seconds if seconds > _PATIENCE_SECONDS else 0.0


def description(seconds: float) -> str:
    """Return one line with the cure, for the operator of the database."""
    return (
        f"commits have waited for {seconds:.0f} s for a synchronous standby that does not confirm "
        "them: bring it back, or take it out of synchronous_standby_names"
    )


def refuse_while_unconfirmed(cursor: Cursor) -> None:
    """Raise `Transient` while commits wait for a standby, because nothing can be written."""
    seconds = unconfirmed_seconds(cursor)
    if seconds:
        raise Transient(description(seconds))
