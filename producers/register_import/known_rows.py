"""Which rows of a register were imported before 已导入的行, by (source, origin number)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from psycopg2.errors import UniqueViolation

from node.postgres.connection import Cursor
from node.postgres.table import TEXT, Table
from node.runtime.errors import Transient
from producers.register_import.prepare_rows import Prepared

_KNOWN = """
    select source, origin_number, content_digest, case_id from imported_row
    where (source, origin_number) in (select * from unnest(%s::text[], %s::text[]))
"""
_HERE = "select case_id from petition_case where case_id = any(%s)"
_IMPORTED = Table(
    "imported_row", {"source": TEXT, "origin_number": TEXT, "case_id": TEXT, "content_digest": TEXT}
)


class Known(NamedTuple):
    """What was registered before: digest and case by (source, number), and cases by their id."""

    rows: dict[tuple[str, str], tuple[str, str]]
    cases: set[str]


def what_is_known(cursor: Cursor, rows: Sequence[Prepared]) -> Known:
    """What this node knows of these rows and of the cases that they were exported from."""
    return Known(_known_rows(cursor, rows), _cases_here(cursor, rows))


def note(cursor: Cursor, rows: Sequence[Prepared]) -> None:
    """Keep that these rows became their cases; `Transient` if another import was faster."""
    try:
        _IMPORTED.copy(cursor, map(_packed, rows))
    except UniqueViolation:
        raise Transient("another import wrote some of these rows at the same moment") from None


def _packed(row: Prepared) -> bytes:
    return _IMPORTED.pack((row.source, row.origin_number, row.case_id, row.content_digest))


def _known_rows(cursor: Cursor, rows: Sequence[Prepared]) -> dict[tuple[str, str], tuple[str, str]]:
    cursor.execute(_KNOWN, ([row.source for row in rows], [row.origin_number for row in rows]))
    return {(source, number): (digest, case_id) for source, number, digest, case_id in cursor}


def _cases_here(cursor: Cursor, rows: Sequence[Prepared]) -> set[str]:
    """The cases that rows were exported from and that this node has."""
    named = [row.exported_case for row in rows if row.exported_case]
    if not named:
        return set()
    cursor.execute(_HERE, (named,))
    return {case_id for (case_id,) in cursor}
