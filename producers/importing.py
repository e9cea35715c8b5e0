"""Importing a case register 登记簿导入: rows → events, in chunks of one transaction each.

A row is known by (source, origin number). A known row with the same content is a duplicate; with
other content it is rejected, because passing it over would lose what changed. After a crash the
same command goes on where it stopped: chunks are whole or absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import NamedTuple

from cases.case import Case
from cases.errors import Refusal
from cases.fold import advance
from node.errors import Transient
from node.keyfiles import KeysUnusable
from node.postgres import Connection, Cursor
from producers.drafting import Command, draft
from producers.known_rows import Known, note, what_is_known
from producers.office import Office
from producers.recording import record
from producers.register import Registration, Rejected
from schemas.errors import Invalid
from schemas.event import Event
from schemas.sealing import case_key

CHUNK_ROWS = 500
_ATTEMPTS = 5

_DISPATCHES = ("forward", "assign")
_CHANGED = (
    "number {} is already registered as case {} with other content: "
    "correct that case, or give the row a number of its own"
)
_EXPORTED_HERE = (
    "was exported from case {}, which this node has: correct that case, "
    "or clear 信访件编号 to register another one"
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
    """A row's case, folded from its events; not yet written."""

    row: Registration
    case: Case
    events: list[Event]

    @property
    def case_id(self) -> str:
        """The id of the new case."""
        return self.case.case_id


@dataclass(slots=True)
class Chunk:
    """What one transaction did."""

    totals: Totals = field(default_factory=Totals)
    rejected: list[Rejected] = field(default_factory=list)


# Done with a chunk's new cases in its own transaction, anew if that is tried again.
Also = Callable[[Cursor, Sequence[Drafted]], None]


def import_rows(
    connection: Connection, office: Office, rows: Iterable[Row], also: Also | None = None
) -> Iterator[Chunk]:
    """Write rows chunk by chunk; each yielded chunk is committed.

    Raises what the driver or `also` raises; all chunks yielded before stay.
    """
    source = iter(rows)
    while chunk := list(islice(source, CHUNK_ROWS)):
        yield _committed(connection, office, chunk, also)


def _committed(
    connection: Connection, office: Office, rows: Sequence[Row], also: Also | None
) -> Chunk:
    for attempt in range(_ATTEMPTS):
        try:
            with connection, connection.cursor() as cursor:
                return _write(cursor, office, rows, also)
        except Transient:
            # Another import of the same rows ran beside us: what it wrote is known now.
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _write(cursor: Cursor, office: Office, rows: Sequence[Row], also: Also | None) -> Chunk:
    readable = [row for row in rows if isinstance(row, Registration)]
    known = what_is_known(cursor, readable)
    chunk = Chunk(Totals(read=len(rows)))
    drafted: list[Drafted] = []
    for row in rows:
        _sort_in(office, row, known, chunk, drafted)
    chunk.totals.registered = len(drafted)
    chunk.totals.rejected = len(chunk.rejected)
    events = [event for one in drafted for event in one.events]
    chunk.totals.events = len(events)
    if drafted:
        note(cursor, [(one.row, one.case_id) for one in drafted])
        record(cursor, office.node, events, [one.case for one in drafted])
        if also is not None:
            also(cursor, drafted)
    return chunk


def _sort_in(office: Office, row: Row, known: Known, chunk: Chunk, drafted: list[Drafted]) -> None:
    if isinstance(row, Rejected):
        chunk.rejected.append(row)
        return
    identity = (row.source, row.origin_number)
    if identity in known.rows:
        digest, case_id = known.rows[identity]
        if digest == row.content_digest:
            chunk.totals.duplicates += 1
        else:
            chunk.rejected.append(_refused(row, _CHANGED.format(row.origin_number, case_id)))
        return
    if row.exported_case in known.cases:
        chunk.rejected.append(_refused(row, _EXPORTED_HERE.format(row.exported_case)))
        return
    try:
        one = draft_row(office, row)
    except (Refusal, Invalid, KeysUnusable) as error:
        if isinstance(error, KeysUnusable) and not _is_dispatched(row):
            raise  # the node's own keys: no row can be registered
        chunk.rejected.append(_refused(row, str(error)))
        return
    known.rows[identity] = (row.content_digest, one.case_id)
    drafted.append(one)


def _is_dispatched(row: Registration) -> bool:
    return any(name in _DISPATCHES for name, _, _ in row.handling)


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
            Command(name, case.case_id, instant, office.actor, given, told_later=True)
            for name, instant, given in row.handling
        ),
    ]
    events: list[Event] = []
    for command in commands:
        events.append(draft(office, case, command, lambda: _key_of(office, events[0])))
        advance(case, events[-1])
    return Drafted(row, case, events)


def _key_of(office: Office, registered: Event) -> bytes | None:
    """The key of a case that goes to a further node, if it has a petitioner."""
    sealed = registered.body["petitioner"]
    return case_key(sealed, registered.case_id, office.keys.pair) if sealed else None


def _refused(row: Registration, reason: str) -> Rejected:
    return Rejected(row.row, row.line, reason, row.cells)
