"""Apply a batch 批次 in one transaction: ledger, projection, onward copies, dead letters, offset.

Before: check the limits of dead letters, then publish the poison to the dead-letter topic.

1. Move the offsets by compare-and-set: a zombie stops here and holds nothing up.
2. Add the events to the ledger; those known already are duplicates.
3. Fold the new ones into their cases.
4. At the centre, write the onward copies to the outbox; update the digests.
5. Store the dead letters, count every record, and note the nodes that are new 已联网节点.
6. Commit. The session commits the offsets to Kafka afterwards, for lag tools only.
"""

import logging
from collections.abc import Mapping, Sequence

from consumers import dead_letters, implausible_dates, offsets, outcomes
from consumers.batch import Batch
from consumers.dead_letter_limits import DeadLetterGuard, poison_tails
from consumers.dead_letters import DeadLetterTopic
from consumers.implausible_dates import Doubt
from consumers.outcomes import Outcome, classify, flow_entries
from node.postgres.connection import Connection, Cursor, Database
from node.postgres.statements import Prepared, Statement, run
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store import flow_counts
from node.store.clock_skew import ClockCheck
from node.store.flow_counts import FlowKey
from node.store.write_events import write_events
from schemas.instants import Clock

log = logging.getLogger(__name__)

_NOTE_PEERS = Prepared(
    "note_contacts",
    """
    insert into node_contact (node, connected_since)
    select node, 'epoch'::timestamptz + %s::bigint * interval '1 microsecond'
    from unnest(%s::text[]) node order by node on conflict do nothing
    """,
)


class BatchApplier:
    """Applies the batches of one session; used by the thread that applies, one batch at a time."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        database: Database,
        dead_letter_topic: DeadLetterTopic,
    ) -> None:
        self._node = settings.node
        self._metrics = metrics
        self._clock = clock
        self._database = database
        self._dead_letter_topic = dead_letter_topic
        self._guard = DeadLetterGuard(settings)
        self._clock_check = ClockCheck(settings, clock)
        self._clock_bound = settings.clock_bound_seconds

    def apply(self, batch: Batch) -> None:
        """Apply a batch wholly or not at all, after its poison is on the dead-letter topic.

        Raises `StopPartition` if there is too much poison, `Fenced` if another process applied it,
        and what the driver and Kafka's client raise.
        """
        connection = self._database.connection()
        self._guard.check(connection, batch)
        if batch.poison:
            self._dead_letter_topic.publish(batch.poison)
        doubts = self._doubts(connection, batch)
        with self._metrics.consumer_batch_seconds.time():
            results = apply_batch(connection, self._node, batch, doubts)
        new = {result.event.event_id for result in results if result.event and result.is_new}
        for source, number in implausible_dates.by_source(doubts, new).items():
            self._metrics.events_implausible_time.labels(source).inc(number)
        self._metrics.consumer_batch_records.observe(len(batch))
        outcomes.count(self._metrics, results, self._clock())
        for poison in batch.poison:
            log.warning("dead letter: %s", poison)

    def _doubts(self, connection: Connection, batch: Batch) -> list[Doubt]:
        with connection, connection.cursor() as cursor:
            now = self._clock_check.true_now(cursor)
        return implausible_dates.doubts(batch, now, self._clock_bound)


def apply_batch(
    connection: Connection, node: str, batch: Batch, doubts: Sequence[Doubt] = ()
) -> list[Outcome]:
    """Apply `batch` wholly or not at all, mark the events in `doubts`; return the outcomes.

    Raises `Fenced`, and whatever the driver raises; then nothing was changed.
    """
    with connection, connection.cursor() as cursor:
        offsets.advance(cursor, batch.ranges, poison_tails(batch))
        results, used_precomputed = write_batch(cursor, node, batch)
        if batch.poison:
            dead_letters.keep(cursor, batch.poison)
        implausible_dates.keep(cursor, doubts)
        count_flow(cursor, results, batch.read_at, flow_entries(node, results))
    if batch.precomputed is not None and used_precomputed:
        batch.precomputed.committed.set()
    return results


def write_batch(cursor: Cursor, node: str, batch: Batch) -> tuple[list[Outcome], bool]:
    """Take steps 2 to 4 in the caller's transaction; the replay of a dead letter takes them too.

    Return the outcomes, and whether what was precomputed was written. `count_flow` follows.
    """
    if not batch.records:
        return classify(batch, (), ()), False
    written = write_events(
        cursor,
        node,
        [decoded.packed for decoded in batch.records],
        batch.read_at,
        precomputed=batch.precomputed,
        restores=True,
    )
    conflicts = {event_id for change in written.changes for event_id in change.conflicts}
    new = {event.event_id for event in written.events}
    return classify(batch, new, conflicts), written.used_precomputed


def count_flow(
    cursor: Cursor, results: Sequence[Outcome], read_at: int, counts: Mapping[FlowKey, int]
) -> None:
    """Add `counts`, and the emitters of new events as known since `read_at` (micros)."""
    statements = flow_counts.delta_statements(counts)
    emitters = {result.event.emitter for result in results if result.event and result.is_new}
    if emitters:
        statements.insert(0, Statement(_NOTE_PEERS, (read_at, [*emitters])))
    run(cursor, statements)
