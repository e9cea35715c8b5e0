"""The outcome of each record is decided once, and everything that counts agrees with it."""

from collections import Counter
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Batch, DecodedRecord, Poison
from consumers.outcomes import classify, count, flow_entries
from node.runtime.metrics import Metrics
from node.store import flow_counts
from node.store.flow_counts import FlowTotals

TOPIC = "petition.uplink.370000"
SHANDONG, CENTRE = "370000", "000000"
_DAY = 86_400_000_000


class FakeRecord(NamedTuple):
    topic: str
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class FakeEvent(NamedTuple):
    event_id: str
    emitter: str = SHANDONG
    recorded_at: int = 0


def batch_of(events: list[FakeEvent], poison: int = 0) -> Batch:
    record: Any = FakeRecord(TOPIC)
    packed: Any = None
    given: Any = [DecodedRecord(record, event, packed) for event in events]  # type: ignore[arg-type]
    return Batch(given, [Poison(record, "malformed", "")] * poison, [])


def test_each_record_is_applied_a_duplicate_a_conflict_or_a_dead_letter() -> None:
    events = [FakeEvent("a"), FakeEvent("b"), FakeEvent("a"), FakeEvent("c")]
    found = classify(batch_of(events, poison=1), {"a", "b"}, {"b"})
    assert [one.result for one in found] == [
        *("applied", "conflict", "duplicate", "duplicate", "dead_letter")
    ]


def test_accounts_count_by_the_day_of_the_event_and_own_events_as_recovered() -> None:
    events = [FakeEvent("a"), FakeEvent("b", CENTRE), FakeEvent("c", recorded_at=_DAY)]
    counts = flow_entries(CENTRE, classify(batch_of(events), {"a", "b", "c"}, ()))
    assert {(one.day.isoformat(), one.kind): number for one, number in counts.items()} == {
        ("1970-01-01", flow_counts.RECEIVED): 2,
        ("1970-01-01", flow_counts.APPLIED): 1,
        ("1970-01-01", flow_counts.RECOVERED): 1,
        ("1970-01-02", flow_counts.RECEIVED): 1,
        ("1970-01-02", flow_counts.APPLIED): 1,
    }


_IDS = st.sampled_from("abcdef")


@given(st.lists(_IDS), st.sets(_IDS), st.sets(_IDS), st.integers(0, 3))
def test_metrics_and_accounts_count_every_record_once(
    ids: list[str], lacked: set[str], conflicts: set[str], poison: int
) -> None:
    new = lacked & {*ids}
    found = classify(batch_of([FakeEvent(one) for one in ids], poison), new, conflicts & new)
    assert sum(one.is_new for one in found) == len(new)
    kinds: Counter[str] = Counter()
    for entry, number in flow_entries(CENTRE, found).items():
        kinds[entry.kind] += number
    account = FlowTotals(**kinds)
    assert account.received == len(ids) + poison
    assert account.applied == len(new)
    assert account.received == account.applied + account.duplicates + account.dead_lettered
    metrics = Metrics()
    count(metrics, found, now=0)
    assert shown(metrics, "applied") + shown(metrics, "conflict") == account.applied
    assert shown(metrics, "duplicate") == account.duplicates
    assert shown(metrics, "dead_letter") == account.dead_lettered


def shown(metrics: Metrics, result: str) -> float:
    labels = {"topic": TOPIC, "result": result}
    name = "petitionlink_consumer_records_total"
    return metrics.registry.get_sample_value(name, labels) or 0.0
