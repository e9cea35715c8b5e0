"""What became of a batch, in the metrics: counted once per batch, not per record."""

from __future__ import annotations

from collections import Counter

from consumers.applying import Applied
from consumers.batch import Batch
from node.metrics import Metrics, observe_all


def count(metrics: Metrics, batch: Batch, applied: Applied, now: int) -> None:
    """Count records by result and observe delivery times; `now` is behind the commit."""
    for (topic, result), number in results(batch, applied).items():
        metrics.consumer_records.labels(topic, result).inc(number)
    recorded: dict[str, list[int]] = {}
    for _, event, _ in batch.arrivals:
        if event.event_id in applied.fresh:
            recorded.setdefault(event.emitter, []).append(event.recorded_at)
    for emitter, instants in recorded.items():
        # A clock that runs ahead at the source must not give a negative time.
        seconds = [max(0.0, (now - instant) / 1_000_000) for instant in instants]
        observe_all(metrics.event_delivery_seconds.labels(emitter), seconds)


def results(batch: Batch, applied: Applied) -> Counter[tuple[str, str]]:
    """Records by topic and result: applied, duplicate, conflict or dead_letter."""
    if not batch.poison and len(applied.fresh) == len(batch.arrivals) and not applied.conflicts:
        topics = Counter(record.topic for record, _, _ in batch.arrivals)
        return Counter({(topic, "applied"): number for topic, number in topics.items()})
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
