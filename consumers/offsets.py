"""Offsets 位点: the next offset of each partition, kept in Postgres.

They move only by compare-and-set in the transaction that applies the records, so that neither a
zombie nor a restored backup can skip or repeat a record.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence

from consumers.batch import OffsetRange
from consumers.dead_letter_limits import PoisonTail
from node.postgres.connection import Cursor
from node.postgres.statements import Prepared, Statement, columns, run
from node.runtime.errors import Fenced

Offsets = dict[tuple[str, int], int]

_LOAD = "select topic, partition, next_offset from consumer_offset where topic = any(%s)"
_NOTE_IDENTITY = """
    update consumer_offset held set topic_id = seen.id
    from unnest(%s::text[], %s::uuid[]) as seen (topic, id)
    where held.topic = seen.topic and held.topic_id is null
"""
_RECREATED = """
    select distinct held.topic from consumer_offset held
    join unnest(%s::text[], %s::uuid[]) as seen (topic, id) using (topic)
    where held.topic_id <> seen.id order by 1
"""
_BEGIN = (
    "insert into consumer_offset (topic, partition, next_offset, judged_from) "
    "values (%s, %s, %s, %s) on conflict do nothing"
)
_ADVANCE = Prepared(
    "advance_offsets",
    """
    update consumer_offset held set next_offset = moved.after, updated_at = now(),
        consecutive_dead_letters = moved.poison
            + case when moved.unbroken then held.consecutive_dead_letters else 0 end
    from unnest(%s::text[], %s::integer[], %s::bigint[], %s::bigint[], %s::integer[], %s::boolean[])
        as moved (topic, partition, before, after, poison, unbroken)
    where held.topic = moved.topic and held.partition = moved.partition
        and held.next_offset = moved.before
    """,
)
_ACKNOWLEDGE = """
    update consumer_offset set consecutive_dead_letters = 0, judged_from = next_offset
    where topic = %s and partition = %s
"""


def load(cursor: Cursor, topics: Iterable[str]) -> Offsets:
    """Return the next offset of each partition of `topics` that this node ever began to read."""
    cursor.execute(_LOAD, ([*topics],))
    return {(topic, partition): offset for topic, partition, offset in cursor}


def recreated_topics(cursor: Cursor, ids: Mapping[str, uuid.UUID | None]) -> list[str]:
    """Return the topics that were deleted and created again since their ids were stored.

    `ids` are Kafka's own ids of the topics; those that are not stored yet are stored.
    """
    known = {topic: str(id_) for topic, id_ in ids.items() if id_ is not None}
    values = [*known], [*known.values()]
    cursor.execute(_NOTE_IDENTITY, values)
    cursor.execute(_RECREATED, values)
    return [topic for (topic,) in cursor]


def begin(cursor: Cursor, first_offsets: Mapping[tuple[str, int], int]) -> None:
    """Store the first offset of partitions that have none yet."""
    for (topic, partition), offset in first_offsets.items():
        cursor.execute(_BEGIN, (topic, partition, offset, offset))


def advance(cursor: Cursor, ranges: Sequence[OffsetRange], tails: Sequence[PoisonTail]) -> None:
    """Move the offsets on, all or none; raises `Fenced` if another process moved one of them.

    `tails`, one for each range, continue the counts of dead letters in a row.
    """
    moves = [(*moved, *tail) for moved, tail in zip(ranges, tails, strict=True)]
    run(cursor, [Statement(_ADVANCE, columns(moves))])
    if cursor.rowcount != len(ranges):
        raise Fenced("another process moved these partitions on; ours was rolled back")


def acknowledge(cursor: Cursor, topic: str, partition: int) -> None:
    """Count the dead letters of this partition from here on only: a person saw the earlier ones."""
    cursor.execute(_ACKNOWLEDGE, (topic, partition))
