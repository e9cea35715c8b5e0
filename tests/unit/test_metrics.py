"""The list of metrics is the contract's, and the document is made from it."""

from pathlib import Path

from prometheus_client import generate_latest

from consumers.lag import LagGauges
from node.kafka.clients import TopicPartition
from node.runtime.metrics import Metrics, documentation

PARTITION = TopicPartition("petition.downlink.370000", 2)
# docs/contract.md §6, what concerns relay, consumer and cases.
PROMISED = {
    "petitionlink_build_info",
    "petitionlink_dependency_up",
    "petitionlink_consumer_records_total",
    "petitionlink_consumer_lag_records",
    "petitionlink_consumer_lag_seconds",
    "petitionlink_consumer_applied_offset",
    "petitionlink_consumer_rebalances_total",
    "petitionlink_consumer_fenced_transactions_total",
    "petitionlink_consumer_batch_seconds",
    "petitionlink_consumer_batch_records",
    "petitionlink_outbox_pending_records",
    "petitionlink_outbox_oldest_pending_seconds",
    "petitionlink_outbox_published_total",
    "petitionlink_event_delivery_seconds",
    "petitionlink_dead_letters_open",
    "petitionlink_dead_letter_oldest_open_seconds",
    "petitionlink_postgres_oldest_transaction_seconds",
    "petitionlink_cases_incomplete",
    "petitionlink_cases_overdue",
    "petitionlink_cases_due",
    "petitionlink_cases_unhandled",
    "petitionlink_cases_in_conflict",
    "petitionlink_nodes_expected",
}


def test_every_promised_metric_is_there_and_documented() -> None:
    text = documentation()
    assert {name for name in PROMISED if f"`{name}`" not in text} == set()


def test_the_document_in_docs_is_the_one_made_from_the_list() -> None:
    written = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert written.read_text(encoding="utf-8") == documentation()


def shown(metrics: Metrics, name: str) -> float | None:
    labels = {"topic": PARTITION.topic, "partition": "2"}
    return metrics.registry.get_sample_value(f"petitionlink_{name}", labels)


def test_lag_in_seconds_grows_while_nothing_is_applied_and_is_zero_when_caught_up() -> None:
    metrics, now = Metrics(), 1_000_000_000
    lag = LagGauges(metrics, lambda: now)
    lag.hold({PARTITION: 10})
    assert shown(metrics, "consumer_lag_seconds") == 0
    lag.polled(PARTITION, 1_000_000 - 3_000)
    assert shown(metrics, "consumer_lag_seconds") == 3
    now += 5_000_000
    assert shown(metrics, "consumer_lag_seconds") == 8
    lag.applied(PARTITION, 11, 1_000_000)
    lag.measured(PARTITION, 11, 11)
    assert shown(metrics, "consumer_lag_seconds") == 0
    assert shown(metrics, "consumer_applied_offset") == 11


def test_lag_is_never_negative_whatever_the_clocks_and_offsets_say() -> None:
    metrics = Metrics()
    lag = LagGauges(metrics, lambda: 0)
    lag.hold({PARTITION: 10})
    lag.polled(PARTITION, 99_000)
    lag.measured(PARTITION, 12, 11)
    assert shown(metrics, "consumer_lag_records") == 0
    assert shown(metrics, "consumer_lag_seconds") == 0


def test_a_partition_that_is_lost_is_shown_no_more() -> None:
    metrics = Metrics()
    lag = LagGauges(metrics, lambda: 0)
    lag.hold({PARTITION: 10})
    lag.hold({})
    assert b"downlink.370000" not in generate_latest(metrics.registry)
