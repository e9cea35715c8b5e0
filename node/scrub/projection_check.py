"""The fold of the bytes against the live projections, for some cases in one snapshot.

The cases are folded into temporary twins of the projections' tables and compared by the SQL that a
rebuild uses. A session of the scrub finds the live tables under their plain names; only while it
fills the twins do these come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cases.case import Case
from cases.fold import fold
from node.postgres.connection import Connection, Cursor
from node.rebuild.compare import differing
from node.rebuild.shadow_tables import TABLES, current_schema
from node.store import case_details, case_rows
from node.store.row_check import Checked

_TWINS = "pg_temp"
_LIVE_FIRST = "set search_path = {live}, pg_temp"
_TWINS_FIRST = "set local search_path = pg_temp, {live}"
_CROSSED = """
    select distinct on (case_id) case_id, (extract(epoch from exchanged_at) * 1000000)::bigint
    from case_event where case_id = any(%s) order by case_id, feed_id
"""
_REVISIONS = "select case_id, revision from petition_case where case_id = any(%s) for update"
_CROSSING = """
    update petition_case set exchanged_at = to_timestamp(0) + %s * interval '1 microsecond'
    where case_id = %s
"""
_SEQUENCES = """
    select case_id, fold -> 'sequences', fold -> 'gaps' from petition_case where case_id = any(%s)
"""


Counted = tuple[dict[str, int], list[tuple[str, int, int]]]
"""The last number of each emitter that a projection has folded, and the gaps it knows of."""


def prepare(connection: Connection) -> str:
    """Make the twins for this session; the schema of the live tables."""
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
    """Of these cases, those whose projection is not the fold of their rows, and how: differing,
    missing or superfluous. All rows must be sound."""
    if not cases:
        return {}
    crossed = _by_case(cursor, _CROSSED, [*cases])
    folded = [_fold(case_id, rows) for case_id, rows in cases.items() if rows]
    cursor.execute(_TWINS_FIRST.format(live=live))
    case_rows.put(cursor, [case_rows.Row(one, 1, crossed[one.case_id]) for one in folded])
    case_details.write(cursor, [(Case(one.case_id), one) for one in folded])
    found = differing(cursor, live, _TWINS, [*cases])
    for table in TABLES:
        cursor.execute(f"delete from {_TWINS}.{table}")
    cursor.execute(_LIVE_FIRST.format(live=live).replace("set ", "set local "))
    return found


def write_again(cursor: Cursor, case_id: str, rows: Sequence[Checked]) -> None:
    """Fold the case from its rows and write it in place of whatever the projections hold."""
    revision = _by_case(cursor, _REVISIONS, [case_id]).get(case_id) or 0
    for table in TABLES[1:]:
        cursor.execute(f"delete from {table} where case_id = %s", (case_id,))
    if not rows:
        cursor.execute("delete from petition_case where case_id = %s", (case_id,))
        return
    crossed = _by_case(cursor, _CROSSED, [case_id])[case_id]
    folded = _fold(case_id, rows)
    case_rows.put(cursor, [case_rows.Row(folded, revision + 1, crossed)])
    cursor.execute(_CROSSING, (crossed, case_id))
    case_details.write(cursor, [(Case(case_id), folded)])


def sequences(cursor: Cursor, case_ids: Iterable[str]) -> dict[str, Counted]:
    """How far the projection of each case has counted each emitter, and the gaps it knows of."""
    cursor.execute(_SEQUENCES, ([*case_ids],))
    return {
        case_id: (counted or {}, [(str(e), int(a), int(b)) for e, a, b in gaps or []])
        for case_id, counted, gaps in cursor
    }


def _fold(case_id: str, rows: Sequence[Checked]) -> Case:
    return fold(case_id, [one.event for one in rows if one.event is not None])


def _by_case(cursor: Cursor, query: str, case_ids: Sequence[str]) -> dict[str, int | None]:
    cursor.execute(query, ([*case_ids],))
    return dict(cursor.fetchall())
