"""Import the rows of a case register 登记簿导入 in chunks of one transaction each.

A row is identified by (source, origin number). A known row with the same content is a duplicate;
with other content it is rejected, because the change would be lost. After a crash the same command
continues where it stopped, because chunks are whole or absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import psycopg2
from psycopg2.errors import UniqueViolation

from node.keys.office import Office
from node.postgres.connection import Connection, Cursor
from node.postgres.table import TEXT, Table
from node.runtime.errors import Transient, is_data_error, is_too_slow
from node.store.projection import no_case, transition
from node.store.write_events import write_own_events
from producers.register import Rejected
from producers.register_import.prepare_rows import PreparedRow, Row, chunks_of
from producers.register_import.query_code_file import CodeFile

_ATTEMPTS = 5
_KNOWN = """
    select source, origin_number, content_digest, case_id from imported_row
    where (source, origin_number) in (select * from unnest(%s::text[], %s::text[]))
"""
_HERE = "select case_id from petition_case where case_id = any(%s)"
_IMPORTED = Table(
    "imported_row", {"source": TEXT, "origin_number": TEXT, "case_id": TEXT, "content_digest": TEXT}
)

_CHANGED = (
    "number {} is already registered as case {} with other content: "
    "correct that case, or give the row a number of its own"
)
_EXPORTED_HERE = (
    "was exported from case {}, which this node has: correct that case, "
    "or clear 信访件编号 to register another one"
)

_UNSTORABLE = "Postgres refuses a value of this row (SQLSTATE {}): it may be too long"


@dataclass(slots=True)
class ImportTotals:
    """The numbers of rows: read = registered + duplicates + rejected."""

    read: int = 0
    registered: int = 0
    duplicates: int = 0
    rejected: int = 0
    events: int = 0

    def add(self, other: ImportTotals) -> None:
        """Add the numbers of another chunk."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)


class _KnownRows(NamedTuple):
    """The rows registered before: digest and case by (source, number), and exported cases."""

    rows: dict[tuple[str, str], tuple[str, str]]
    cases: set[str]


@dataclass(slots=True)
class Chunk:
    """The result of one transaction."""

    totals: ImportTotals = field(default_factory=ImportTotals)
    rejected: list[Rejected] = field(default_factory=list)


def import_rows(
    connection: Connection, office: Office, rows: Iterable[Row], codes: CodeFile | None = None
) -> Iterator[Chunk]:
    """Prepare and write rows chunk by chunk; each yielded chunk is committed.

    Each new case gets a query code in `codes`, if that is given. Raises errors of the driver or of
    `codes`; all chunks yielded before stay.
    """
    for prepared in chunks_of(office, rows):
        yield from write_parts(connection, office.node, prepared, codes)


def write_parts(
    connection: Connection,
    node: str,
    rows: Sequence[PreparedRow | Rejected],
    codes: CodeFile | None = None,
) -> Iterator[Chunk]:
    """Write the rows; each yielded chunk is committed.

    If Postgres refuses a value or times out, each half is tried by itself, and a single row with
    a refused value is rejected. Raises other errors of the driver or of `codes`.
    """
    try:
        chunk = write_chunk(connection, node, rows, codes)
    except psycopg2.Error as error:
        if connection.closed or not (is_data_error(error) or is_too_slow(error)):
            raise
        if len(rows) > 1:
            middle = len(rows) // 2
            for half in (rows[:middle], rows[middle:]):
                yield from write_parts(connection, node, half, codes)
        elif is_data_error(error) and isinstance(rows[0], PreparedRow):
            reason = _UNSTORABLE.format(error.pgcode)
            yield Chunk(ImportTotals(read=1, rejected=1), [_refused(rows[0], reason)])
        else:
            raise
    else:
        yield chunk


def write_chunk(
    connection: Connection,
    node: str,
    rows: Sequence[PreparedRow | Rejected],
    codes: CodeFile | None = None,
) -> Chunk:
    """Write and commit the rows that are new at `node` in one transaction."""
    for attempt in range(_ATTEMPTS):
        try:
            with connection, connection.cursor() as cursor:
                chunk = _write(cursor, node, rows, codes)
        except Transient:
            # Another import wrote the same rows, which are known now.
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            if codes is not None:
                codes.keep()
            return chunk
    raise AssertionError("unreachable")


def _write(
    cursor: Cursor, node: str, rows: Sequence[PreparedRow | Rejected], codes: CodeFile | None
) -> Chunk:
    known = _read_known(cursor, [row for row in rows if isinstance(row, PreparedRow)])
    chunk = Chunk(ImportTotals(read=len(rows)))
    new: list[PreparedRow] = []
    for row in rows:
        _sort_in(row, known, chunk, new)
    packed = [one for row in new for one in row.packed]
    chunk.totals.registered = len(new)
    chunk.totals.rejected = len(chunk.rejected)
    chunk.totals.events = len(packed)
    if new:
        _write_known(cursor, new)
        events = ((row, [packed.event for packed in row.packed]) for row in new)
        cases = [transition(no_case(row.case_id), row.case, made) for row, made in events]
        write_own_events(cursor, node, packed, cases)
        if codes is not None:
            codes.issue(cursor, new)
    return chunk


def _read_known(cursor: Cursor, rows: Sequence[PreparedRow]) -> _KnownRows:
    cursor.execute(_KNOWN, ([row.source for row in rows], [row.origin_number for row in rows]))
    known = {(source, number): (digest, case_id) for source, number, digest, case_id in cursor}
    exported = [row.exported_case for row in rows if row.exported_case]
    if exported:
        cursor.execute(_HERE, (exported,))
    return _KnownRows(known, {case_id for (case_id,) in cursor} if exported else set())


def _write_known(cursor: Cursor, rows: Sequence[PreparedRow]) -> None:
    """Record which cases these rows became; raise `Transient` if another import was faster."""
    values = ((row.source, row.origin_number, row.case_id, row.content_digest) for row in rows)
    try:
        _IMPORTED.copy(cursor, map(_IMPORTED.pack, values))
    except UniqueViolation:
        raise Transient("another import wrote some of these rows at the same moment") from None


def _sort_in(
    row: PreparedRow | Rejected, known: _KnownRows, chunk: Chunk, new: list[PreparedRow]
) -> None:
    if isinstance(row, Rejected):
        chunk.rejected.append(row)
    elif row.identity in known.rows:
        digest, case_id = known.rows[row.identity]
        if digest == row.content_digest:
            chunk.totals.duplicates += 1
        else:
            chunk.rejected.append(_refused(row, _CHANGED.format(row.origin_number, case_id)))
    elif row.exported_case in known.cases:
        chunk.rejected.append(_refused(row, _EXPORTED_HERE.format(row.exported_case)))
    elif row.refusal:
        chunk.rejected.append(_refused(row, row.refusal))
    else:
        known.rows[row.identity] = (row.content_digest, row.case_id)
        new.append(row)


def _refused(row: PreparedRow, reason: str) -> Rejected:
    return Rejected(row.row, row.line, reason, row.cells)
