"""Prepare rows 备案: draft, seal, fold and encode their cases and pack them for COPY.

This needs no database and may run in a subprocess, so the results are small: events do not carry
what is already packed.
"""

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


class PreparedRow(NamedTuple):
    """A row with its new case, folded, and the packed events; not yet written.

    `refusal` is why there is no case, or ""; it does not matter if the row is known. The other
    fields are those of `Registration`.
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
        """Return the identity of the row."""
        return self.source, self.origin_number

    @property
    def case_id(self) -> str:
        """Return the id of the new case, "" if there is none."""
        return self.case.case_id


PreparedChunk = list[PreparedRow | Rejected]


def chunks_of(
    office: Office, rows: Iterable[Row], size: int = CHUNK_ROWS
) -> Iterator[PreparedChunk]:
    """Yield prepared rows in chunks; raise `KeysUnusable` if `office` itself cannot seal."""
    source = iter(rows)
    while chunk := [prepare(office, row) for row in islice(source, size)]:
        yield chunk


def prepare(office: Office, row: Row) -> PreparedRow | Rejected:
    """Return the prepared row or the reason why there is no case; raise as `chunks_of`."""
    if isinstance(row, Rejected):
        return row
    try:
        case, events = draft_row(office, row)
    except (Refusal, Invalid, KeysUnusable) as error:
        if isinstance(error, KeysUnusable) and not _is_dispatched(row):
            raise  # the node's own keys: no row can be registered
        return _prepared(row, _NO_CASE, [], str(error))
    return _prepared(row, case, [_packed(event) for event in events])


def _prepared(
    row: Registration, case: Case, packed: list[Packed], refusal: str = ""
) -> PreparedRow:
    return PreparedRow(
        *(row.row, row.line, row.source, row.origin_number, row.content_digest),
        *(row.exported_case, row.cells, case, packed, refusal),
    )


def draft_row(office: Office, row: Registration) -> Drafted:
    """Return the case of a row and its events: registered, then handling; raise as `draft`."""
    case = Case(office.new_case_id(row.registered_at))
    at, who = row.registered_at, office.actor
    commands = [
        Command("register", case.case_id, at, who, row.registered, row.petitioner),
        *(
            Command(name, case.case_id, instant, who, given, told_later=True)
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
    """Return the key of a case for a further node, if it has a petitioner."""
    sealed = registered.body["petitioner"]
    return case_key(sealed, registered.case_id, office.keys.pair) if sealed else None


def _is_dispatched(row: Registration) -> bool:
    return any(name in _DISPATCHES for name, _, _ in row.handling)


def _packed(event: Event) -> Packed:
    """Pack the event and leave out body and value, which are in the packed row."""
    packed = pack(Entry(event, body_json(event.body)))
    return packed._replace(event=event._replace(body={}, value=b""))
