"""Handling one command 办理指令: hold the case, draft the event, write it, commit."""

from __future__ import annotations

from typing import Any, NamedTuple

from cases import event_types as types
from cases.case import Case
from node import projection
from node.ledger import bytes_of
from node.postgres import Connection, Cursor
from producers.drafting import Command, draft
from producers.office import Office
from producers.recording import record
from schemas.errors import PetitionLinkError
from schemas.event import Event
from schemas.sealing import case_key

_HANDED_OVER = [types.FORWARDED, types.ASSIGNED, types.COPIED]
_KEYS = """
    select body -> 'petitioner', body -> 'petitioner_keys' from case_event
    where case_id = %s and event_type = any(%s)
"""


class Done(NamedTuple):
    """A command's event, and its case behind it."""

    event: Event
    case: Case


def handle(connection: Connection, office: Office, command: Command) -> Done:
    """Do `command` in one transaction that holds the case's row; safe beside other writers.

    Raises `Refusal` or `Invalid`, and what the driver raises; then nothing was changed.
    """
    with connection, connection.cursor() as cursor:
        case = projection.lock(cursor, command.case_id) or Case(command.case_id)
        event = draft(office, case, command, lambda: _key_of(cursor, office, case.case_id))
        (change,) = record(cursor, office.node, [event])
    return Done(event, change.after)


def _key_of(cursor: Cursor, office: Office, case_id: str) -> bytes | None:
    """The case key, if there is a sealed petitioner and this node can read it."""
    cursor.execute(_KEYS, (case_id, [types.REGISTERED, *_HANDED_OVER]))
    sealed: dict[str, Any] | None = None
    extra: list[dict[str, Any]] = []
    for petitioner, keys in cursor:
        sealed = petitioner or sealed
        extra += keys or []
    if sealed is None:
        return None
    try:
        return case_key(
            bytes_of(sealed), case_id, office.keys.pair, [bytes_of(key) for key in extra]
        )
    except PetitionLinkError:
        return None  # not sealed for us: we pass on the case without the petitioner
