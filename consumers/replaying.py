"""Replaying 重放: a dead letter once more through the way in, after what was wrong is mended.

The original bytes are decoded as the consumer decodes and written as it writes: ledger, projection,
onward copies, digests. The letter and the accounts change in the same transaction, one for each
letter, so that it is either done or still open.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import psycopg2

from consumers.accounting import account, day_of_poison
from consumers.applying import Applied, note, write
from consumers.batch import Arrival, Batch, Here, Poison, decoded
from consumers.resolving import Letter, closed, hold, resolve
from node import accounts
from node.accounts import Entry
from node.errors import PetitionLinkError, Transient, classified, is_data_error
from node.postgres import Connection, Cursor
from node.queries.dead_letters import REPLAYED
from node.reconciliation.state import is_recovering
from schemas.errors import REFUSED_BY_DATABASE

# A case that is made beside us, a deadlock: the same again succeeds.
_ATTEMPTS = 3


class Replayed(NamedTuple):
    """What a letter became: applied, duplicate or conflict."""

    letter: Letter
    result: str
    event_id: str
    case_id: str


class StillPoison(PetitionLinkError):
    """The letter stays open: it is still no event, for `reason`, a code."""

    def __init__(self, id_: int, reason: str, detail: str) -> None:
        super().__init__(f"dead letter {id_} is still poison: {reason}: {detail}: it stays open")
        self.reason = reason


def replay(connection: Connection, node: str, id_: int, actor: str, now: int) -> Replayed:
    """Take letter `id_` in, or change nothing; `now` in micros.

    Raises `StillPoison`, `PetitionLinkError` if there is no such open letter, and what the driver
    raises.
    """
    try:
        return _patiently(connection, node, id_, actor, now)
    except psycopg2.Error as error:
        if not is_data_error(error):
            raise
        detail = f"Postgres refuses its value ({error.pgcode})"
        raise StillPoison(id_, REFUSED_BY_DATABASE, detail) from error


def _patiently(connection: Connection, node: str, id_: int, actor: str, now: int) -> Replayed:
    for _ in range(_ATTEMPTS - 1):
        try:
            return _replay_once(connection, node, id_, actor, now)
        except Exception as error:
            known = error if isinstance(error, Transient) else classified(error)
            if not isinstance(known, Transient) or connection.closed:
                raise
    return _replay_once(connection, node, id_, actor, now)


def _replay_once(connection: Connection, node: str, id_: int, actor: str, now: int) -> Replayed:
    with connection, connection.cursor() as cursor:
        letter = hold(cursor, id_)
        batch = _batch(cursor, Here(node, now), letter)
        (arrival,) = batch.arrivals
        applied = write(cursor, node, batch)
        note(cursor, applied, now, _moved(node, letter, arrival, applied))
        done = Replayed(
            letter, _result(arrival, applied), arrival.event.event_id, arrival.event.case_id
        )
        about = {"event_id": done.event_id, "case_id": done.case_id}
        resolve(cursor, letter, REPLAYED, actor, done.result, **about)
    return done


def _batch(cursor: Cursor, here: Here, letter: Letter) -> Batch:
    def may_come_home(emitter: str) -> bool:
        return emitter == here.node and is_recovering(cursor)

    batch = decoded([letter], [], here, may_come_home)
    for _, reason, detail in batch.poison:
        raise StillPoison(letter.id, reason, detail + _hint(letter))
    return batch


# gzip, snappy as Java writes it, lz4, zstd.
_COMPRESSED = (b"\x1f\x8b", b"\x82SNAPPY\0", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd")


def _hint(letter: Letter) -> str:
    """A letter of an earlier release may be a whole compressed batch; nobody can replay that."""
    if not (letter.value or b"").startswith(_COMPRESSED):
        return ""
    return (
        "; it is a whole compressed batch and no event: discard it, and the source sends the "
        "events in it again"
    )


def _moved(node: str, letter: Letter, arrival: Arrival, applied: Applied) -> Counter[Entry]:
    """From the dead letters of its day into what it became; it was received once."""
    counts = account(node, Batch([arrival], [], []), applied.fresh)
    counts.update(closed(letter))
    day = day_of_poison(Poison(letter, letter.reason, ""))
    counts[Entry(letter.topic, day, accounts.RECEIVED)] -= 1
    return counts


def _result(arrival: Arrival, applied: Applied) -> str:
    event_id = arrival.event.event_id
    if event_id not in applied.fresh:
        return "duplicate"
    return "conflict" if event_id in applied.conflicts else "applied"
