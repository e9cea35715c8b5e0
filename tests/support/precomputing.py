"""Batches of the consumer without Kafka in tests: made, precomputed, applied and compared."""

from collections.abc import Sequence
from contextlib import closing
from random import Random
from typing import Any

from support.walks import Walk
from support.world import rows

from cases.nodes import NATIONAL
from consumers.apply_batch import apply_batch
from consumers.batch import Batch, DecodedRecord
from consumers.outcomes import Outcome
from node.kafka.topic_names import uplink
from node.postgres.connection import Connection, Database, connect
from node.runtime.settings import Settings
from node.store.events import Entry, RecordSource, body_json, pack
from node.store.precompute import Precompute
from schemas.event import Event

NOW = 1_775_000_000_000_000
SEED = 20261126
# What others see of a node; surrogate numbers and the time of writing are left out.
_CONTENT = {
    "petition_case": "select t::text from petition_case t order by case_id",
    "case_clock": "select t::text from case_clock t order by 1",
    "case_evaluation": "select t::text from case_evaluation t order by 1",
    "case_supervision": "select t::text from case_supervision t order by 1",
    "case_route": "select t::text from case_route t order by 1",
    "case_digest": "select t::text from case_digest t order by 1",
    "withheld_event": "select case_id, event_id, destination from withheld_event order by 1, 2, 3",
    "outbox": "select topic, case_id, array_agg((event_id, urgent)::text order by id) "
    "from outbox group by 1, 2 order by 1, 2",
}


def batch_of(events: Sequence[Event], first: int = 0) -> Batch:
    """Return a batch as the loop makes it, without Kafka."""
    decoded = []
    for offset, one in enumerate(events, first):
        source = RecordSource(uplink(one.emitter), 0, offset, NOW)
        record: Any = Record(source.topic, 0, offset)
        packed = pack(Entry(one, body_json(one.body), source))
        decoded.append(DecodedRecord(record, one, packed))
    return Batch(decoded, [], [], NOW)


class Record:
    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self.topic, self.partition, self.offset = topic, partition, offset


def precomputed(ahead: Precompute, batch: Batch) -> Batch:
    """Return the batch with its precomputed rows, of at least one of its cases."""
    made = ahead.batch([decoded.event for decoded in batch.records], batch.read_at)
    assert made is not None
    return batch.with_precomputed(made)


def apply(connection: Connection, batch: Batch) -> list[Outcome]:
    """Apply a batch as the consumer does; it moves no offsets."""
    return apply_batch(connection, NATIONAL, batch)


def is_used(connection: Connection, batch: Batch) -> bool:
    """Apply a precomputed batch; return whether what was precomputed was written."""
    assert batch.precomputed is not None
    apply(connection, batch)
    return batch.precomputed.committed.is_set()


def apply_all(settings: Settings, batches: Sequence[Batch], *, in_advance: bool) -> None:
    """Every fourth batch is applied by another writer. With `in_advance`, each of the others is
    precomputed before the previous one is applied."""
    with (
        closing(connect(settings.dsn, "test")) as connection,
        closing(Database(settings, "test")) as database,
    ):
        ahead = Precompute(settings.node, database)
        previous = batch_of([])
        for number, one in enumerate(batches, start=1):
            if number % 4 == 0:
                apply(connection, one)
                continue
            events = [decoded.event for decoded in one.records]
            made = ahead.batch(events, one.read_at) if in_advance else None
            apply(connection, previous)
            previous = one.with_precomputed(made)
        apply(connection, previous)


def content(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    return {table: rows(settings, query) for table, query in _CONTENT.items()}


def arrivals_of(walk: Walk, chance: Random) -> list[list[Event]]:
    """Return what provinces sent in a history: nearly in order, with repeats, cut into batches."""
    ledgers = walk.universe.nodes[NATIONAL].ledger.values()
    sent = [one for ledger in ledgers for one in ledger.values() if one.emitter != NATIONAL]
    sent += chance.sample(sent, len(sent) // 8)
    sent.sort(key=lambda one: one.recorded_at + chance.randrange(3_600_000_000))
    batches = []
    while sent:
        size = chance.randrange(1, 6)
        batches.append(sent[:size])
        del sent[:size]
    return batches


def batches_of(chance: Random) -> list[Batch]:
    walk = Walk(chance)
    walk.run(120)
    batches: list[Batch] = []
    first = 0
    for events in arrivals_of(walk, chance):
        batches.append(batch_of(events, first))
        first += len(events)
    return batches
