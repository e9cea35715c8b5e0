"""Preparing rows 备案: from a row of a register to a case that is ready to be written.

Everything that an import does with a row before a database is asked: drafted, sealed, folded,
encoded and packed for COPY. It may run in a process of its own, so what it gives is small: what is
packed already is not carried along once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from cases.case import Case
from cases.errors import Refusal
from cases.fold import advance
from node.keys.key_files import KeysUnusable
from node.keys.office import Office
from node.store.events import Entry, Packed, body_json, pack
from producers.commands.draft_event import Command, draft, passes_petitioner_on
from producers.register import Registration, Rejected
from schemas.errors import Invalid
from schemas.event import Event
from schemas.sealing.sealed_record import case_key

CHUNK_ROWS = 500

_DISPATCHES = ("forward", "assign")
_NO_CASE = Case("")

Row = Registration | Rejected


class Drafted(NamedTuple):
    """A row's case, folded from its events."""

    case: Case
    events: list[Event]


class Prepared(NamedTuple):
    """A row with its new case, folded, and the events of that, packed; not yet written.

    `refusal` is why there is no case, "" if there is one; it does not matter if the row turns out
    to be known. The other fields are those of `Registration`.
    """

    row: int
    line: int
    source: str
    origin_number: str
    content_digest: str
    exported_case: str
    cells: dict[str, str]
    case: Case
    packed: list[Packed]
    refusal: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """What the row is known by."""
        return self.source, self.origin_number

    @property
    def case_id(self) -> str:
        """The id of the new case, "" if there is none."""
        return self.case.case_id


PreparedChunk = list[Prepared | Rejected]


def chunks_of(
    office: Office, rows: Iterable[Row], size: int = CHUNK_ROWS
) -> Iterator[PreparedChunk]:
    """The rows, prepared, so many at a time. `KeysUnusable` if `office` itself cannot seal."""
    source = iter(rows)
    while chunk := [prepare(office, row) for row in islice(source, size)]:
        yield chunk


def prepare(office: Office, row: Row) -> Prepared | Rejected:
    """The case that a row becomes, or why it becomes none; raises as `chunks_of`."""
    if isinstance(row, Rejected):
        return row
    try:
        case, events = draft_row(office, row)
    except (Refusal, Invalid, KeysUnusable) as error:
        if isinstance(error, KeysUnusable) and not _is_dispatched(row):
            raise  # the node's own keys: no row can be registered
        return _prepared(row, _NO_CASE, [], str(error))
    return _prepared(row, case, [_packed(event) for event in events])


def _prepared(row: Registration, case: Case, packed: list[Packed], refusal: str = "") -> Prepared:
    return Prepared(
        row=row.row,
        line=row.line,
        source=row.source,
        origin_number=row.origin_number,
        content_digest=row.content_digest,
        exported_case=row.exported_case,
        cells=row.cells,
        case=case,
        packed=packed,
        refusal=refusal,
    )


def draft_row(office: Office, row: Registration) -> Drafted:
    """The events of one row: registered, then what the row says of its handling.

    Raises as `draft` does.
    """
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
        key = _key_of(office, events[0]) if passes_petitioner_on(office, command) else None
        events.append(draft(office, case, command, case_key=key))
        advance(case, events[-1])
    return Drafted(case, events)


def _key_of(office: Office, registered: Event) -> bytes | None:
    """The key of a case that goes to a further node, if it has a petitioner."""
    sealed = registered.body["petitioner"]
    return case_key(sealed, registered.case_id, office.keys.pair) if sealed else None


def _is_dispatched(row: Registration) -> bool:
    return any(name in _DISPATCHES for name, _, _ in row.handling)


def _packed(event: Event) -> Packed:
    """Without body and value, which are in the packed row."""
    packed = pack(Entry(event, body_json(event.body)))
    return packed._replace(event=event._replace(body={}, value=b""))
