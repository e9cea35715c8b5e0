"""Ledger → shadow tables: every case once, then those that changed meanwhile, until few are left.

Runs on a connection whose search path begins with the shadow schema: `petition_case` is the
shadow there, `case_event` the node's own ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cases.case import Case
from cases.fold import fold
from node.postgres.connection import Connection, Cursor
from node.rebuild.losses import Losses
from node.rebuild.shadow_tables import TABLES
from node.store import case_details, case_rows, row_check
from node.store.row_check import Checked

# Some 10 MB of events at ten a case.
_CASES_AT_A_TIME = 500

_NEXT = "select distinct case_id from case_event where case_id > %s order by 1 limit %s"
# Nothing of an older transaction can still appear (docs/adr/0010).
_HORIZON = "select pg_snapshot_xmin(pg_current_snapshot())::text"
_CHANGED = "select distinct case_id from case_event where applied_xid >= %s::xid8 order by 1"
# When a case first crossed to this node is that of its first row; null if it was made here.
_CROSSED = """
    select distinct on (case_id) case_id, (extract(epoch from exchanged_at) * 1000000)::bigint
    from case_event where case_id = any(%s) order by case_id, feed_id
"""
# The new row has one revision more than the live row: whoever read that one before the swap must
# notice that the row is another one.
_REVISIONS = "select case_id, revision from {live}.petition_case where case_id = any(%s)"


def horizon(connection: Connection) -> str:
    """The transaction behind which the ledger may still gain rows that nobody sees yet."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_HORIZON)
        (transaction,) = cursor.fetchone() or ("0",)
    return str(transaction)


def fold_all(
    connection: Connection, live: str, losses: Losses, moved: Callable[[int], None]
) -> None:
    """Fold every case of the ledger from the bytes, in the order of ids, a transaction a chunk;
    memory is flat."""
    done = 0
    for case_ids in _chunks(connection):
        with connection, connection.cursor() as cursor:
            _write(cursor, live, losses, case_ids)
        done += len(case_ids)
        moved(done)


def changed_since(connection: Connection, transaction: str) -> list[str]:
    """The cases of which this transaction or a later one wrote something."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_CHANGED, (transaction,))
        return [case_id for (case_id,) in cursor]


def fold_again(connection: Connection, live: str, losses: Losses, case_ids: Sequence[str]) -> None:
    """Fold these cases anew, whatever the shadow tables hold of them."""
    for start in range(0, len(case_ids), _CASES_AT_A_TIME):
        chunk = [*case_ids[start : start + _CASES_AT_A_TIME]]
        with connection, connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"delete from {table} where case_id = any(%s)", (chunk,))
            _write(cursor, live, losses, chunk)


def _chunks(connection: Connection) -> Iterator[list[str]]:
    last = ""
    while True:
        with connection, connection.cursor() as cursor:
            cursor.execute(_NEXT, (last, _CASES_AT_A_TIME))
            case_ids = [case_id for (case_id,) in cursor]
        if not case_ids:
            return
        yield case_ids
        last = case_ids[-1]


def _write(cursor: Cursor, live: str, losses: Losses, case_ids: list[str]) -> None:
    revisions = _by_case(cursor, _REVISIONS.format(live=live), case_ids)
    crossed = _by_case(cursor, _CROSSED, case_ids)
    found: dict[str, list[Checked]] = {}
    for one in row_check.read(cursor, case_ids):
        found.setdefault(one.row.case_id, []).append(one)
    losses.look(cursor, found)
    folded = [
        fold(case_id, [one.event for one in some if one.event is not None])
        for case_id, some in found.items()
        if any(one.event is not None for one in some)
    ]
    case_rows.put(
        cursor,
        [
            case_rows.Row(case, (revisions.get(case.case_id) or 0) + 1, crossed[case.case_id])
            for case in folded
        ],
    )
    case_details.write(cursor, [(Case(case.case_id), case) for case in folded])


def _by_case(cursor: Cursor, query: str, case_ids: list[str]) -> dict[str, int | None]:
    cursor.execute(query, (case_ids,))
    return dict(cursor.fetchall())
