"""Importing a case register 登记簿导入: rows → events, in chunks of one transaction each.

A row is known by (source, origin number). A known row with the same content is a duplicate; with
other content it is rejected, because passing it over would lose what changed. After a crash the
same command goes on where it stopped: chunks are whole or absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import NamedTuple

from psycopg2.extras import execute_values

from cases.case import Case
from cases.errors import Refusal
from cases.fold import extend
from node.errors import Transient
from node.postgres import Connection, Cursor
from producers.drafting import Command, draft
from producers.office import Office
from producers.recording import record
from producers.register import Registration, Rejected
from schemas.errors import Invalid
from schemas.event import Event

CHUNK_ROWS = 500
_ATTEMPTS = 5

_KNOWN = """
    select source, origin_number, content_digest, case_id from imported_row
    where (source, origin_number) in (select * from unnest(%s::text[], %s::text[]))
"""
_NOTE = (
    "insert into imported_row (source, origin_number, case_id, content_digest) values %s "
    "on conflict do nothing"
)

Row = Registration | Rejected


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


class Drafted(NamedTuple):
    """A row's case and its events, not yet written."""

    row: Registration
    case_id: str
    events: list[Event]


@dataclass(slots=True)
class Chunk:
    """What one transaction did."""

    totals: Totals = field(default_factory=Totals)
    rejected: list[Rejected] = field(default_factory=list)


def import_rows(connection: Connection, office: Office, rows: Iterable[Row]) -> Iterator[Chunk]:
    """Write rows chunk by chunk; each yielded chunk is committed.

    Raises what the driver raises; all chunks yielded before stay.
    """
    source = iter(rows)
    while chunk := list(islice(source, CHUNK_ROWS)):
        yield _committed(connection, office, chunk)


def _committed(connection: Connection, office: Office, rows: Sequence[Row]) -> Chunk:
    for attempt in range(_ATTEMPTS):
        try:
            with connection, connection.cursor() as cursor:
                return _write(cursor, office, rows)
        except Transient:
            # Another import of the same rows ran beside us: what it wrote is known now.
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _write(cursor: Cursor, office: Office, rows: Sequence[Row]) -> Chunk:
    known = _known_rows(cursor, [row for row in rows if isinstance(row, Registration)])
    chunk = Chunk(Totals(read=len(rows)))
    drafted: list[Drafted] = []
    for row in rows:
        _sort_in(office, row, known, chunk, drafted)
    chunk.totals.registered = len(drafted)
    chunk.totals.rejected = len(chunk.rejected)
    events = [event for one in drafted for event in one.events]
    chunk.totals.events = len(events)
    if drafted:
        _note(cursor, drafted)
        record(cursor, office.node, events)
    return chunk


def _sort_in(
    office: Office,
    row: Row,
    known: dict[tuple[str, str], tuple[str, str]],
    chunk: Chunk,
    drafted: list[Drafted],
) -> None:
    if isinstance(row, Rejected):
        chunk.rejected.append(row)
        return
    identity = (row.source, row.origin_number)
    if identity in known:
        digest, case_id = known[identity]
        if digest == row.content_digest:
            chunk.totals.duplicates += 1
        else:
            chunk.rejected.append(_changed(row, case_id))
        return
    try:
        one = draft_row(office, row)
    except (Refusal, Invalid) as error:
        chunk.rejected.append(Rejected(row.row, row.line, str(error), row.cells))
        return
    known[identity] = (row.content_digest, one.case_id)
    drafted.append(one)


def draft_row(office: Office, row: Registration) -> Drafted:
    """The events of one row: registered, then what the row says of its handling."""
    case = Case(office.new_case_id(row.registered_at))
    commands = [
        Command(
            "register",
            case.case_id,
            row.registered_at,
            office.actor,
            row.registered,
            row.petitioner,
        ),
        *(
            Command(name, case.case_id, instant, office.actor, given)
            for name, instant, given in row.handling
        ),
    ]
    events = [draft(office, case, commands[0], lambda: None)]
    for command in commands[1:]:
        case = extend(case, events[-1:])
        events.append(draft(office, case, command, lambda: None))
    return Drafted(row, case.case_id, events)


def _known_rows(
    cursor: Cursor, rows: Sequence[Registration]
) -> dict[tuple[str, str], tuple[str, str]]:
    cursor.execute(_KNOWN, ([row.source for row in rows], [row.origin_number for row in rows]))
    return {(source, number): (digest, case_id) for source, number, digest, case_id in cursor}


def _note(cursor: Cursor, drafted: Sequence[Drafted]) -> None:
    values = [
        (one.row.source, one.row.origin_number, one.case_id, one.row.content_digest)
        for one in drafted
    ]
    execute_values(cursor, _NOTE, values, page_size=len(values))
    if cursor.rowcount != len(values):
        raise Transient("another import wrote some of these rows at the same moment")


def _changed(row: Registration, case_id: str) -> Rejected:
    reason = (
        f"number {row.origin_number} is already registered as case {case_id} with other content: "
        "correct that case, or give the row a number of its own"
    )
    return Rejected(row.row, row.line, reason, row.cells)
