"""Importing a case register 登记簿导入: rows → events, in chunks of one transaction each.

A row is known by (source, origin number). A known row with the same content is a duplicate; with
other content it is rejected, because passing it over would lose what changed. After a crash the
same command goes on where it stopped: chunks are whole or absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import psycopg2

from node.keys.office import Office
from node.postgres.connection import Connection, Cursor
from node.runtime.errors import Transient, is_data_error, is_too_slow
from node.store.projection import CaseTransition, no_case, transition
from node.store.write_events import write_own_events
from producers.register import Rejected
from producers.register_import.known_rows import Known, note, what_is_known
from producers.register_import.prepare_rows import Prepared, Row, chunks_of
from producers.register_import.query_code_file import CodeFile

_ATTEMPTS = 5

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
class Totals:
    """What became of the rows: read = registered + duplicates + rejected."""

    read: int = 0
    registered: int = 0
    duplicates: int = 0
    rejected: int = 0
    events: int = 0

    def add(self, other: Totals) -> None:
        """Count another chunk."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)


@dataclass(slots=True)
class Chunk:
    """What one transaction did."""

    totals: Totals = field(default_factory=Totals)
    rejected: list[Rejected] = field(default_factory=list)


def import_rows(
    connection: Connection, office: Office, rows: Iterable[Row], codes: CodeFile | None = None
) -> Iterator[Chunk]:
    """Prepare and write rows chunk by chunk; each yielded chunk is committed.

    Each new case gets a query code in `codes`, if that is given. Raises what the driver or `codes`
    raises; all chunks that were yielded before stay.
    """
    for prepared in chunks_of(office, rows):
        yield from write_parts(connection, office.node, prepared, codes)


def write_parts(
    connection: Connection,
    node: str,
    rows: Sequence[Prepared | Rejected],
    codes: CodeFile | None = None,
) -> Iterator[Chunk]:
    """Write the rows; each yielded chunk is committed, and there is one unless Postgres refuses.

    Where it refuses a value or has no time for so many rows, each half is tried by itself; a row
    whose value it refuses is rejected. Raises what else the driver or `codes` raises.
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
        elif is_data_error(error) and isinstance(rows[0], Prepared):
            reason = _UNSTORABLE.format(error.pgcode)
            yield Chunk(Totals(read=1, rejected=1), [_refused(rows[0], reason)])
        else:
            raise
    else:
        yield chunk


def write_chunk(
    connection: Connection,
    node: str,
    rows: Sequence[Prepared | Rejected],
    codes: CodeFile | None = None,
) -> Chunk:
    """Write the rows that are new at `node` in one transaction, which is committed then."""
    for attempt in range(_ATTEMPTS):
        try:
            with connection, connection.cursor() as cursor:
                chunk = _write(cursor, node, rows, codes)
        except Transient:
            # Another import of the same rows ran beside us: what it wrote is known now.
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            if codes is not None:
                codes.keep()
            return chunk
    raise AssertionError("unreachable")


def _write(
    cursor: Cursor, node: str, rows: Sequence[Prepared | Rejected], codes: CodeFile | None
) -> Chunk:
    known = what_is_known(cursor, [row for row in rows if isinstance(row, Prepared)])
    chunk = Chunk(Totals(read=len(rows)))
    new: list[Prepared] = []
    for row in rows:
        _sort_in(row, known, chunk, new)
    packed = [one for row in new for one in row.packed]
    chunk.totals.registered = len(new)
    chunk.totals.rejected = len(chunk.rejected)
    chunk.totals.events = len(packed)
    if new:
        note(cursor, new)
        write_own_events(cursor, node, packed, [*map(_transition, new)])
        if codes is not None:
            codes.issue(cursor, new)
    return chunk


def _transition(row: Prepared) -> CaseTransition:
    return transition(no_case(row.case_id), row.case, [packed.event for packed in row.packed])


def _sort_in(row: Prepared | Rejected, known: Known, chunk: Chunk, new: list[Prepared]) -> None:
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


def _refused(row: Prepared, reason: str) -> Rejected:
    return Rejected(row.row, row.line, reason, row.cells)
