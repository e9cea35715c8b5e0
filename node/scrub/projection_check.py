"""Compare the fold of the bytes of some cases with the live projections, in one snapshot.

The cases are folded into temporary twins of the projections' tables and compared by the SQL that a
rebuild uses. In a session of the scrub the live tables come first on the search path, except while
the twins are filled.
"""

from collections.abc import Iterable, Mapping, Sequence

from node.postgres.connection import Connection, Cursor
from node.rebuild.compare import differing
from node.rebuild.refold import values_by_case, write_folds
from node.rebuild.shadow_tables import TABLES, current_schema
from node.store.row_check import Checked

_TWINS = "pg_temp"
_LIVE_FIRST = "set search_path = {live}, pg_temp"
_TWINS_FIRST = "set local search_path = pg_temp, {live}"
_REVISIONS = "select case_id, revision from petition_case where case_id = any(%s) for update"
# An upsert keeps the first value of this column, which may be wrong.
_SET_CROSSED = """
    update petition_case set exchanged_at = (select exchanged_at from case_event
        where case_id = %(case_id)s order by feed_id limit 1)
    where case_id = %(case_id)s
"""
_SEQUENCES = """
    select case_id, fold -> 'sequences', fold -> 'gaps' from petition_case where case_id = any(%s)
"""


Counted = tuple[dict[str, int], list[tuple[str, int, int]]]
"""The last sequence of each emitter that a projection has folded, and the gaps that it knows."""


def prepare(connection: Connection) -> str:
    """Make the twins for this session; return the schema of the live tables."""
    with connection, connection.cursor() as cursor:
        live = current_schema(cursor)
        cursor.execute(_LIVE_FIRST.format(live=live))
        for table in TABLES:
            cursor.execute(
                f"create temporary table {table} (like {live}.{table} including all) "
                "on commit delete rows"
            )
    return live


def compare(cursor: Cursor, live: str, cases: Mapping[str, Sequence[Checked]]) -> dict[str, str]:
    """Return the cases whose projection is not the fold of their rows, which must be sound: each is
    differing, missing or superfluous."""
    if not cases:
        return {}
    cursor.execute(_TWINS_FIRST.format(live=live))
    write_folds(cursor, cases, {})
    kinds = differing(cursor, live, _TWINS, [*cases])
    for table in TABLES:
        cursor.execute(f"delete from {_TWINS}.{table}")
    cursor.execute(_LIVE_FIRST.format(live=live).replace("set ", "set local "))
    return kinds


def write_again(cursor: Cursor, case_id: str, rows: Sequence[Checked]) -> None:
    """Fold the case from its rows and replace all that the projections hold of it."""
    revisions = values_by_case(cursor, _REVISIONS, [case_id])
    for table in TABLES[1:]:
        cursor.execute(f"delete from {table} where case_id = %s", (case_id,))
    if not rows:
        cursor.execute("delete from petition_case where case_id = %s", (case_id,))
        return
    write_folds(cursor, {case_id: rows}, revisions)
    cursor.execute(_SET_CROSSED, {"case_id": case_id})


def sequences(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, Counted]:
    """Return what the projection of each case has counted."""
    cursor.execute(_SEQUENCES, ([*case_ids],))
    return {
        case_id: (counted or {}, [(str(e), int(a), int(b)) for e, a, b in gaps or []])
        for case_id, counted, gaps in cursor
    }
