"""Resolve a dead letter 死信处置: lock it, change it once and audit it, in one transaction.

This also records that a person looked at its partition: the counts of dead letters that stop the
partition begin again.
"""

from collections import Counter
from typing import Final, NamedTuple

from consumers import offsets
from consumers.outcomes import dead_letter_day
from node.postgres.connection import Connection, Cursor
from node.postgres.statements import run
from node.queries import dead_letters
from node.queries.dead_letters import DISCARDED, OPEN, REPLAYED, bytes_of, headers_of
from node.runtime.errors import PetitionLinkError
from node.store import audit_log, flow_counts
from node.store.flow_counts import FlowKey
from schemas.event import Event
from schemas.instants import CHINA

_ACTIONS: Final = {
    REPLAYED: "deadletter.replayed",  # 重放
    DISCARDED: "deadletter.discarded",  # 废弃
}
# The timestamp is in milliseconds, like that of a record.
_HOLD = """
    select id, topic, partition, "offset", record_key, value, headers,
           (extract(epoch from recorded_at) * 1000)::bigint, reason, status, actor, resolved_at
    from dead_letter where id = %s for update
"""
_RESOLVE = """
    update dead_letter set status = %s, actor = %s, resolution = %s, resolved_at = now()
    where id = %s
"""


class Letter(NamedTuple):
    """A dead letter with its record as Kafka returned it; `timestamp` in milliseconds."""

    id: int
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dead_letters.Headers
    timestamp: int
    reason: str


def hold(cursor: Cursor, id_: int) -> Letter:
    """Lock the open letter until the transaction ends, and acknowledge its partition.

    Raises `PetitionLinkError` if there is none or somebody resolved it already. The partition's row
    is locked before any case, in the order of the consumer, so that there is no deadlock.
    """
    cursor.execute(_HOLD, (id_,))
    row = cursor.fetchone()
    if row is None:
        raise dead_letters.unknown(id_)
    *place, key, value, headers, timestamp, reason, status, actor, resolved_at = row
    if status != OPEN:
        at = resolved_at.astimezone(CHINA).isoformat(timespec="minutes")
        raise PetitionLinkError(
            f"dead letter {id_} was {status} already, by {actor} at {at}: nothing was changed"
        )
    record = bytes_of(key), bytes_of(value), headers_of(headers), timestamp
    letter = Letter._make((*place, *record, reason))
    offsets.acknowledge(cursor, letter.topic, letter.partition)
    return letter


def resolve(
    cursor: Cursor,
    letter: Letter,
    status: str,
    actor: str,
    resolution: str,
    event: Event | None = None,
) -> None:
    """Store the resolution of a locked letter in its row and in the audit log."""
    cursor.execute(_RESOLVE, (status, actor, resolution, letter.id))
    names = ("id", "topic", "partition", "offset", "reason")
    detail = {name: getattr(letter, name) for name in names} | {"resolution": resolution}
    if event is not None:
        detail["event_id"] = event.event_id
    audit_log.note(cursor, actor, _ACTIONS[status], detail, event and event.case_id)


def closed(letter: Letter) -> Counter[FlowKey]:
    """Return the counts that take an open letter out of the accounts: it explains no loss now."""
    return Counter({FlowKey(letter.topic, dead_letter_day(letter), flow_counts.DEAD_LETTERED): -1})


def discard(connection: Connection, id_: int, actor: str, why: str) -> Letter:
    """Give a letter up for good; its bytes stay stored. Raises what `hold` raises.

    From then on its event is missing in the accounts, until its source has sent it again.
    """
    with connection, connection.cursor() as cursor:
        letter = hold(cursor, id_)
        run(cursor, flow_counts.delta_statements(closed(letter)))
        resolve(cursor, letter, DISCARDED, actor, why)
    return letter
