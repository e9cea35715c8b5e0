"""docs/faults.md 23: a very long case, and a hundredfold burst; work is counted, not timed."""

from typing import Any

import pytest
from support.world import count, event, eventually, raw, rows, running, send

from cases import fold
from cases.vocabulary import event_types as types
from consumers.consumer import Consumer
from node.kafka.topic_names import downlink
from node.localstack import LocalStack
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store import events
from schemas.event import Event

LONG = "110000-20260401-7K3M9QXA"
OTHER = "110000-20260401-7K3M9QXB"
EVENTS = 10_000
TOPIC = downlink("370000")


def progress(case_id: str, number: int) -> Event:
    """Make the event that follows `number` others of its case."""
    body = {"progress": "…"}
    return event(case_id, number + 1, type_=types.PROGRESSED, body=body)


class Counted:
    """Counts what a function is called with; `size` says how much one call is."""

    def __init__(self, patch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        self._real = getattr(where, name)
        self.calls = 0
        patch.setattr(where, name, self)

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        return self._real(*given, **named)


def test_a_case_of_ten_thousand_events_costs_a_fold_each_and_holds_up_no_other(
    new_shandong: Settings, new_nodes: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/faults.md 23. Seen failing with `continues` always false (cases/fold.py): each batch
    reads and folds the whole case again. A late event alone does that, once; neither a batch whose
    cases were precomputed nor the few events that are folded in the transaction itself
    (node/store/projection.py)."""
    folded = Counted(monkeypatch, fold, "_take")
    read = Counted(monkeypatch, events, "read")
    written = [raw(event(LONG)), *(raw(progress(LONG, n)) for n in range(1, EVENTS))]
    late = written.pop(EVENTS // 2)
    metrics = Metrics()
    with running(Consumer(new_shandong, metrics), metrics):
        send(new_shandong, TOPIC, written)
        send(new_shandong, TOPIC, [raw(event(OTHER))], partition=1)
        eventually(lambda: known(new_shandong, OTHER) == 1, "the other case flows")
        eventually(lambda: known(new_shandong, LONG) == EVENTS - 1, "the long case")
        assert read.calls == 0
        assert folded.calls == EVENTS
        send(new_shandong, TOPIC, [late])
        eventually(lambda: known(new_shandong, LONG) == EVENTS, "the late event")
        assert read.calls == 1
        assert folded.calls == 2 * EVENTS
        send(new_shandong, TOPIC, [raw(progress(LONG, EVENTS))])
        eventually(lambda: known(new_shandong, LONG) == EVENTS + 1, "one more")
    assert read.calls == 1
    assert folded.calls == 2 * EVENTS + 1
    assert rows(new_shandong, "select incomplete, version from petition_case where case_id = %s",
                (LONG,)) == [(False, EVENTS + 1)]  # fmt: skip
    assert count(new_shandong, "dead_letter") == 0


def known(settings: Settings, case_id: str) -> int:
    """Count the events of a case in the ledger."""
    query = "select count(*) from case_event where case_id = %s"
    return int(rows(settings, query, (case_id,))[0][0])


def test_a_hundredfold_burst_is_taken_in_few_transactions(
    new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 23. Seen failing with one transaction per record (`batch_records` 1)."""
    metrics = Metrics()
    burst = [raw(event(f"110000-20260401-7K3M{n:04d}")) for n in range(5_000)]
    with running(Consumer(new_shandong, metrics), metrics):
        send(new_shandong, TOPIC, [raw(event(OTHER))])
        eventually(lambda: count(new_shandong, "case_event") == 1, "the trickle")
        send(new_shandong, TOPIC, burst)
        eventually(lambda: count(new_shandong, "case_event") == len(burst) + 1, "the burst")
    batches = metrics.registry.get_sample_value("petitionlink_consumer_batch_records_count")
    assert batches is not None
    assert batches < len(burst) / 20
