"""One transaction 一个事务 for one batch: ledger, projection, onward copies, dead letters, offset.

1. Move the offsets by compare-and-set: a zombie stops here and holds nothing up.
2. Add the events to the ledger; those known already are duplicates.
3. Fold the new ones into their cases, and note which nodes were heard for the first time.
4. At the centre, write the onward copies to the outbox; bring the digests in step.
5. Keep the dead letters, and account for every record.
6. Commit. Offsets go to Kafka afterwards, by the loop, for lag tools only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from consumers import implausible_dates, offsets
from consumers.batch import Batch
from consumers.dead_letter_limits import tails
from consumers.dead_letters import keep
from consumers.implausible_dates import Doubt
from consumers.outcomes import Outcome, classify, flow_entries
from node.postgres.connection import Connection, Cursor
from node.postgres.statements import run
from node.store import flow_counts, known_peers
from node.store.flow_counts import Entry
from node.store.write_events import write_events


class Applied(NamedTuple):
    """The ids of the events that were new, those of them that are conflicts, and their emitters.

    `used_precomputed`: what was precomputed of the batch was written.
    """

    fresh: set[str]
    conflicts: set[str]
    emitters: set[str]
    used_precomputed: bool = False


def apply_batch(
    connection: Connection, node: str, batch: Batch, doubts: Sequence[Doubt] = ()
) -> list[Outcome]:
    """Apply `batch` wholly or not at all, mark the events in `doubts`; return the outcomes.

    Raises `Fenced`, and whatever the driver raises; then nothing was changed.
    """
    with connection, connection.cursor() as cursor:
        offsets.advance(cursor, batch.ranges, tails(batch))
        applied = write(cursor, node, batch)
        outcomes = classify(batch, applied.fresh, applied.conflicts)
        keep(cursor, batch.poison)
        implausible_dates.keep(cursor, doubts)
        note(cursor, applied, batch.read_at, flow_entries(node, outcomes))
    if batch.precomputed is not None and applied.used_precomputed:
        batch.precomputed.committed.set()
    return outcomes


def note(cursor: Cursor, applied: Applied, read_at: int, counts: Mapping[Entry, int]) -> None:
    """Who was heard, and what became of the records; `read_at` in micros."""
    run(cursor, [*known_peers.noted(applied.emitters, read_at), *flow_counts.noted(counts)])


def write(cursor: Cursor, node: str, batch: Batch) -> Applied:
    """Steps 2 to 4, in the caller's transaction; a letter that is replayed takes them too.

    `note` follows.
    """
    if not batch.records:
        return Applied(set(), set(), set())
    written = write_events(
        cursor,
        node,
        [decoded.packed for decoded in batch.records],
        batch.read_at,
        precomputed=batch.precomputed,
        restores=True,
    )
    marked = {event_id for change in written.changes for event_id in change.conflicts}
    fresh = {event.event_id for event in written.events}
    emitters = {event.emitter for event in written.events}
    return Applied(fresh, fresh & marked, emitters, written.used_precomputed)
