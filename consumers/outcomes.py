"""The outcome 处理结果 of each record of a batch: decided once, then counted.

The same outcomes make the consumer's metrics, the day's accounts 收支 of each topic, and the report
of the replay of a dead letter.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple

from kafka.consumer.fetcher import ConsumerRecord
from prometheus_client import Histogram

from consumers.batch import Batch
from node.runtime.metrics import Metrics
from node.store import flow_counts
from node.store.flow_counts import FlowKey, day_of
from schemas.errors import Invalid
from schemas.event import Event
from schemas.instants import parse_instant

APPLIED: Final = "applied"
DUPLICATE: Final = "duplicate"
CONFLICT: Final = "conflict"  # applied, and marked as in conflict with another event of its case
DEAD_LETTER: Final = "dead_letter"


class Outcome(NamedTuple):
    """A record and its `result`; `event` is None for a dead letter."""

    record: ConsumerRecord
    event: Event | None
    result: str

    @property
    def is_new(self) -> bool:
        """Return whether the event was not in the ledger before."""
        return self.result in (APPLIED, CONFLICT)


def classify(batch: Batch, new: Collection[str], conflicts: Collection[str]) -> list[Outcome]:
    """Return the outcome of each record of `batch`, poison last.

    `new` are the ids of the events that the ledger did not have, `conflicts` those of events that
    are in conflict. If an event occurs twice in the batch, its first record is the new one.
    """
    unseen = set(new)
    outcomes: list[Outcome] = []
    for record, event, _ in batch.records:
        event_id, result = event.event_id, DUPLICATE
        if event_id in unseen:
            unseen.discard(event_id)
            result = CONFLICT if event_id in conflicts else APPLIED
        outcomes.append(Outcome(record, event, result))
    outcomes += [Outcome(poison.record, None, DEAD_LETTER) for poison in batch.poison]
    return outcomes


def flow_entries(node: str, outcomes: Iterable[Outcome]) -> Counter[FlowKey]:
    """Return what the accounts of `node` count for these outcomes, by topic, day and kind."""
    counts: Counter[FlowKey] = Counter()
    for record, event, result in outcomes:
        day = dead_letter_day(record) if event is None else day_of(event.recorded_at)
        counts[FlowKey(record.topic, day, _kind(node, event, result))] += 1
    for (topic, day, _), number in [*counts.items()]:
        counts[FlowKey(topic, day, flow_counts.RECEIVED)] += number
    return counts


def _kind(node: str, event: Event | None, result: str) -> str:
    if event is None:
        return flow_counts.DEAD_LETTERED
    if result == DUPLICATE:
        return flow_counts.DUPLICATES
    return flow_counts.RECOVERED if event.emitter == node else flow_counts.APPLIED


def dead_letter_day(record: ConsumerRecord) -> date:
    """Return the day on which the sender counted a dead letter, by the time in its header; without
    a readable one, the day on which the record was written to the topic."""
    header = dict(record.headers or ()).get("ce_time") or b""
    try:
        return day_of(parse_instant("ce_time", header.decode()))
    except (Invalid, UnicodeDecodeError):
        return day_of(record.timestamp * 1000)


def count(metrics: Metrics, outcomes: Sequence[Outcome], now: int) -> None:
    """Count records by result and observe delivery times; `now` (micros) was taken after the
    commit."""
    results = Counter((record.topic, result) for record, _, result in outcomes)
    for (topic, result), number in results.items():
        metrics.consumer_records.labels(topic, result).inc(number)
    recorded: dict[str, list[int]] = {}
    for outcome in outcomes:
        if outcome.event is not None and outcome.is_new:
            recorded.setdefault(outcome.event.emitter, []).append(outcome.event.recorded_at)
    for emitter, instants in recorded.items():
        # The source's clock may be ahead of ours; a delivery time is never negative.
        seconds = [max(0.0, (now - instant) / 1_000_000) for instant in instants]
        observe_all(metrics.event_delivery_seconds.labels(emitter), seconds)


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """Observe each value; a batch has thousands, and the library takes only one a call."""
    bounds = histogram._upper_bounds
    places = Counter(bisect_left(bounds, value) for value in values)
    for place, number in places.items():
        histogram._buckets[place].inc(number)
    histogram._sum.inc(sum(values))
