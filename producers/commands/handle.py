"""Handle one command 办理指令: lock the case, draft the event, write it, commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg2

from cases.case import NOBODYS, Case
from cases.errors import Refusal
from cases.fold import extend
from cases.routing import barred
from node.keys.office import Office
from node.postgres.commit_outcome import transaction_id
from node.postgres.connection import Connection, Cursor
from node.runtime.errors import Transient
from node.store import command_gate, projection
from node.store.events import bytes_of
from node.store.write_events import pack_own, write_own_events
from producers.commands.draft_event import Command, draft, passes_petitioner_on
from schemas.errors import PetitionLinkError
from schemas.event import Event
from schemas.sealing.sealed_record import case_key

# The latest comes last: a correction seals the petitioner again.
_KEYS = """
    select body -> 'petitioner', body -> 'petitioner_keys' from case_event
    where case_id = %s and (body ? 'petitioner' or body ? 'petitioner_keys')
    order by version, emitter, event_id
"""
# A dispatch arrives later than it happened by the time that its event travelled.
_TRAVELLED = """
    select (extract(epoch from exchanged_at - recorded_at) * 1000000)::bigint
    from case_event where event_id = %s and exchanged_at is not null
"""
_TARGET = "select state, participants from petition_case where case_id = %s"


class Done(NamedTuple):
    """The event of a command, and the case after it."""

    event: Event
    case: Case


class OutcomeUnknown(Transient):
    """The connection was lost at the commit of `done`; see `was_committed(transaction)`."""

    def __init__(self, done: Done, transaction: str) -> None:
        super().__init__(
            f"Postgres went away while the command was committed: whether event "
            f"{done.event.event_id} of case {done.case.case_id} was written is not known: "
            "look with `petitionlink case show`, or send it again under the same Idempotency-Key"
        )
        self.done = done
        self.transaction = transaction


def handle(connection: Connection, office: Office, command: Command) -> Done:
    """Do `command` in a transaction of its own; raises as `handled` does."""
    with handled(connection, office, command) as (_, done):
        return done


@contextmanager
def handled(
    connection: Connection, office: Office, command: Command
) -> Iterator[tuple[Cursor, Done]]:
    """Do `command` in one transaction that locks the row of its case, and commit it at the end of
    the block, which may write more with the cursor.

    Raises `Refusal`, `Invalid` or `ClockWrong`, and what the driver or the block raises; then
    nothing was changed. Raises `OutcomeUnknown` if the connection was lost at the commit.
    """
    transaction = ""
    try:
        with connection, connection.cursor() as cursor:
            done = _write(cursor, office, command)
            yield cursor, done
            transaction = transaction_id(cursor)
    except psycopg2.Error as error:
        if not transaction or not connection.closed:
            raise
        raise OutcomeUnknown(done, transaction) from error


def _write(cursor: Cursor, office: Office, command: Command) -> Done:
    # This comes first: if the database lacks events, the command would be checked by a wrong case.
    command_gate.require_confirmed(cursor, office.node)
    office.check_clock(cursor)
    locked = projection.lock_cases(cursor, [command.case_id])
    before = locked.get(command.case_id) or projection.no_case(command.case_id)
    case = before.case
    _check_target(cursor, case, command)
    key = _key_of(cursor, office, case) if passes_petitioner_on(office, command) else None
    arrived_at = _arrived_at(cursor, case) if command.name == "land" else None
    event = draft(office, case, command, case_key=key, arrived_at=arrived_at)
    after = projection.transition(before, extend(case, [event]), [event])
    written = write_own_events(cursor, office.node, pack_own([event]), [after])
    return Done(event, written.cases[event.case_id])


def _check_target(cursor: Cursor, case: Case, command: Command) -> None:
    """Refuse to merge 并件 into a case that nobody handles or in which the accused take part."""
    into = command.given.get("into")
    if command.name != "merge" or not isinstance(into, str):
        return
    cursor.execute(_TARGET, (into,))
    row = cursor.fetchone()
    if row is None:
        raise Refusal("not_registered", f"case {into[:70]} to merge into is unknown to this node")
    state, participants = row
    if state in NOBODYS:
        raise Refusal("wrong_state", f"case {into} is {state}: nobody would deal with the matter")
    accused = barred(case).intersection(participants)
    if accused:
        raise Refusal("accusation", f"{min(accused)} is accused and has part in case {into}")


def _arrived_at(cursor: Cursor, case: Case) -> int | None:
    """Return when the case came to this node (micros, business time); None if it was here."""
    if case.dispatch is None:
        return None
    cursor.execute(_TRAVELLED, (case.dispatch["event_id"],))
    row = cursor.fetchone()
    sent: int = case.dispatch["at"]
    return sent + max(0, row[0]) if row else None


def _key_of(cursor: Cursor, office: Office, case: Case) -> bytes | None:
    """Return the case key, if there is a sealed petitioner that this node can read."""
    cursor.execute(_KEYS, (case.case_id,))
    sealed: dict[str, Any] | None = None
    extra: list[dict[str, Any]] = []
    for petitioner, keys in cursor:
        if petitioner:
            sealed, extra = petitioner, []
        extra += keys or []
    if sealed is None:
        return None
    try:
        return case_key(
            bytes_of(sealed), case.case_id, office.keys.pair, [bytes_of(key) for key in extra]
        )
    except PetitionLinkError:
        return None  # not sealed for this node: the case goes on without the petitioner
