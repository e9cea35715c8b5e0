"""Replay 重放 a dead letter: decode and apply it again, after the cause was repaired.

The original bytes are decoded and written by the functions of the consumer: ledger, projection,
onward copies, digests. The letter and the accounts change in the same transaction, so that a letter
is either replayed or still open.
"""

from collections import Counter
from functools import partial
from typing import NamedTuple

import psycopg2

from consumers.admin.resolve import Letter, closed, hold, resolve
from consumers.apply_batch import count_flow, write_batch
from consumers.batch import Batch
from consumers.decode import ReadContext, decode_batch
from consumers.outcomes import Outcome, dead_letter_day, flow_entries
from node.postgres.connection import Connection, Cursor
from node.queries.dead_letters import REPLAYED
from node.recovery.flag import is_recovering
from node.runtime.errors import PetitionLinkError, Transient, classified, is_data_error
from node.store import flow_counts
from node.store.flow_counts import FlowKey
from schemas.errors import REFUSED_BY_DATABASE

# Another process creates the same case, or a deadlock: the next attempt succeeds.
_ATTEMPTS = 3


class Replayed(NamedTuple):
    """A replayed letter; `result` is that of an `Outcome`."""

    letter: Letter
    result: str
    event_id: str
    case_id: str


class StillPoison(PetitionLinkError):
    """The letter is still not an event, for `reason`, a code; it stays open."""

    def __init__(self, id_: int, reason: str, detail: str) -> None:
        super().__init__(f"dead letter {id_} is still poison: {reason}: {detail}: it stays open")
        self.reason = reason


def replay(connection: Connection, node: str, id_: int, actor: str, now: int) -> Replayed:
    """Apply letter `id_`, or change nothing; `now` in micros.

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
        batch = _decoded(cursor, node, letter, now)
        (outcome,), _ = write_batch(cursor, node, batch)
        count_flow(cursor, [outcome], now, _flow_changes(node, letter, outcome))
        event = batch.records[0].event
        resolve(cursor, letter, REPLAYED, actor, outcome.result, event)
    return Replayed(letter, outcome.result, event.event_id, event.case_id)


def _decoded(cursor: Cursor, node: str, letter: Letter, now: int) -> Batch:
    context = ReadContext(node, now, partial(is_recovering, cursor))
    batch = decode_batch([letter], [], context)
    for _, reason, detail in batch.poison:
        raise StillPoison(letter.id, reason, detail + _hint(letter))
    return batch


# gzip, snappy as Java writes it, lz4, zstd.
_COMPRESSED = (b"\x1f\x8b", b"\x82SNAPPY\0", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd")


def _hint(letter: Letter) -> str:
    """Return advice on a letter of an earlier release that is a whole compressed batch."""
    if not (letter.value or b"").startswith(_COMPRESSED):
        return ""
    return (
        "; it is a whole compressed batch and no event: discard it, and the source sends the "
        "events in it again"
    )


def _flow_changes(node: str, letter: Letter, outcome: Outcome) -> Counter[FlowKey]:
    """Move the letter from the dead letters of its day to its outcome; it was received once."""
    counts = flow_entries(node, [outcome])
    counts.update(closed(letter))
    counts[FlowKey(letter.topic, dead_letter_day(letter), flow_counts.RECEIVED)] -= 1
    return counts
