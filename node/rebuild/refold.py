"""Fold the ledger into shadow tables: every case once, then those that changed, until few are left.

The connection's search path begins with the shadow schema: `petition_case` is the shadow there,
`case_event` the node's own ledger.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from cases.case import Case
from cases.fold import fold
from node.postgres.connection import Connection, Cursor
from node.postgres.statements import read_value
from node.rebuild.losses import Losses
from node.rebuild.shadow_tables import TABLES
from node.store import case_details, case_rows, row_check
from node.store.case_rows import CaseRow
from node.store.row_check import Checked

# About 10 MB of events at ten a case.
_CASES_AT_A_TIME = 500

_NEXT = "select distinct case_id from case_event where case_id > %s order by 1 limit %s"
# No row of an older transaction can still appear (docs/adr/0010).
_HORIZON = "select pg_snapshot_xmin(pg_current_snapshot())::text"
_CHANGED = "select distinct case_id from case_event where applied_xid >= %s::xid8 order by 1"
# A case first reached this node with its first row; null if it was made here.
_CROSSED = """
    select distinct on (case_id) case_id, (extract(epoch from exchanged_at) * 1000000)::bigint
    from case_event where case_id = any(%s) order by case_id, feed_id
"""
# The new row has one revision more than the live row, so that a writer that read the live row
# before the swap notices that it was replaced.
_REVISIONS = "select case_id, revision from {live}.petition_case where case_id = any(%s)"


def horizon(connection: Connection) -> str:
    """Return the oldest transaction that may still add rows to the ledger."""
    with connection, connection.cursor() as cursor:
        return str(read_value(cursor, _HORIZON))


def fold_all(
    connection: Connection, live: str, losses: Losses, moved: Callable[[int], None]
) -> None:
    """Fold every case in the order of ids, a chunk per transaction, so that memory stays flat."""
    done = 0
    for case_ids in _chunks(connection):
        with connection, connection.cursor() as cursor:
            _write(cursor, live, losses, case_ids)
        done += len(case_ids)
        moved(done)


def changed_since(connection: Connection, transaction: str) -> list[str]:
    """Return the cases of events that this transaction or a later one wrote."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_CHANGED, (transaction,))
        return [case_id for (case_id,) in cursor]


def fold_again(connection: Connection, live: str, losses: Losses, case_ids: Sequence[str]) -> None:
    """Fold these cases again and replace their rows in the shadow tables."""
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
    revisions = values_by_case(cursor, _REVISIONS.format(live=live), case_ids)
    rows: dict[str, list[Checked]] = {}
    for checked in row_check.read(cursor, case_ids):
        rows.setdefault(checked.row.case_id, []).append(checked)
    losses.check_rows(cursor, rows)
    write_folds(cursor, rows, revisions)


def write_folds(
    cursor: Cursor, rows: Mapping[str, Sequence[Checked]], revisions: Mapping[str, int | None]
) -> None:
    """Fold these cases from their rows and write them, one revision after the given ones."""
    crossed = values_by_case(cursor, _CROSSED, [*rows])
    events = {
        case_id: [checked.event for checked in of_case if checked.event is not None]
        for case_id, of_case in rows.items()
    }
    folded = [fold(case_id, of_case) for case_id, of_case in events.items() if of_case]
    case_rows.put(
        cursor,
        [
            CaseRow(case, (revisions.get(case.case_id) or 0) + 1, crossed[case.case_id])
            for case in folded
        ],
    )
    case_details.write(cursor, [(Case(case.case_id), case) for case in folded])


def values_by_case(cursor: Cursor, query: str, case_ids: list[str]) -> dict[str, int | None]:
    """Run a query on these cases that returns the id and a value of each."""
    cursor.execute(query, (case_ids,))
    return dict(cursor.fetchall())
