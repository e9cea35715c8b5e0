"""Positions 位点: the next offset of each partition, kept in Postgres.

They move only by compare-and-set inside the transaction that applies the records, so a zombie
or a restored backup can neither skip nor repeat.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

from consumers.batch import Advance
from consumers.limits import Tail
from node.errors import Fenced
from node.postgres import Cursor
from node.statements import Prepared, Statement, run

Positions = dict[tuple[str, int], int]

_LOAD = "select topic, partition, next_offset from consumer_offset where topic = any(%s)"
_NOTE_IDENTITY = """
    update consumer_offset held set topic_id = seen.id
    from unnest(%s::text[], %s::uuid[]) as seen (topic, id)
    where held.topic = seen.topic and held.topic_id is null
"""
_STRANGERS = """
    select distinct held.topic from consumer_offset held
    join unnest(%s::text[], %s::uuid[]) as seen (topic, id) using (topic)
    where held.topic_id <> seen.id order by 1
"""
_BEGIN = (
    "insert into consumer_offset (topic, partition, next_offset, judged_from) "
    "values (%s, %s, %s, %s) on conflict do nothing"
)
_ADVANCE = Prepared(
    "advance_positions",
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


def load(cursor: Cursor, topics: Iterable[str]) -> Positions:
    """The positions of all partitions of `topics` that this node ever began to read."""
    cursor.execute(_LOAD, ([*topics],))
    return {(topic, partition): offset for topic, partition, offset in cursor}


def strangers(cursor: Cursor, ids: Mapping[str, uuid.UUID | None]) -> list[str]:
    """The topics that are not those of which we hold positions: deleted and made anew.

    `ids` are Kafka's own of each topic; those not noted yet are noted.
    """
    known = {topic: str(one) for topic, one in ids.items() if one is not None}
    cursor.execute(_NOTE_IDENTITY, ([*known], [*known.values()]))
    cursor.execute(_STRANGERS, ([*known], [*known.values()]))
    return [topic for (topic,) in cursor]


def begin(cursor: Cursor, first_offsets: Mapping[tuple[str, int], int]) -> None:
    """Note where reading begins for partitions that have no position yet."""
    for (topic, partition), offset in first_offsets.items():
        cursor.execute(_BEGIN, (topic, partition, offset, offset))


def advance(cursor: Cursor, advances: Sequence[Advance], tails: Sequence[Tail]) -> None:
    """Move positions on, all or none; raises `Fenced` if one is not where we left it.

    `tails` say how the records leave each of them, for the count of dead letters in a row.
    """
    moves = [(*advance, *tail) for advance, tail in zip(advances, tails, strict=True)]
    columns = [list(column) for column in zip(*moves, strict=True)]
    run(cursor, [Statement(_ADVANCE, columns)])
    if cursor.rowcount != len(advances):
        raise Fenced("another process moved these partitions on; ours was rolled back")


def acknowledge(cursor: Cursor, topic: str, partition: int) -> None:
    """A person deals with dead letters of this partition: what came so far counts no more."""
    cursor.execute(_ACKNOWLEDGE, (topic, partition))


def stands_behind(cursor: Cursor, advances: Sequence[Advance]) -> bool:
    """Whether every position is already where `advances` lead: the commit had gone through."""
    held = load(cursor, {one.topic for one in advances})
    return all(held.get((one.topic, one.partition)) == one.after for one in advances)
