"""What became of a batch, in the metrics: counted once per batch, not per record."""

from __future__ import annotations

from collections import Counter

from consumers.applying import Applied
from consumers.batch import Batch
from node.metrics import Metrics


def count(metrics: Metrics, batch: Batch, applied: Applied, now: int) -> None:
    """Count records by result and observe delivery times; `now` is behind the commit."""
    for (topic, result), number in results(batch, applied).items():
        metrics.consumer_records.labels(topic, result).inc(number)
    for _, event, _ in batch.arrivals:
        if event.event_id in applied.fresh:
            # A clock that runs ahead at the source must not give a negative time.
            seconds = max(0.0, (now - event.recorded_at) / 1_000_000)
            metrics.event_delivery_seconds.labels(event.emitter).observe(seconds)


def results(batch: Batch, applied: Applied) -> Counter[tuple[str, str]]:
    """Records by topic and result: applied, duplicate, conflict or dead_letter."""
    counts: Counter[tuple[str, str]] = Counter()
    unseen = set(applied.fresh)
    for record, event, _ in batch.arrivals:
        counts[record.topic, _result(event.event_id, unseen, applied.conflicts)] += 1
        unseen.discard(event.event_id)
    for poison in batch.poison:
        counts[poison.record.topic, "dead_letter"] += 1
    return counts


def _result(event_id: str, unseen: set[str], conflicts: set[str]) -> str:
    if event_id not in unseen:
        return "duplicate"
    return "conflict" if event_id in conflicts else "applied"
