"""Lag in seconds, by clocks that do not agree."""

from consumers.lag import LagGauges
from node.kafka.clients import TopicPartition
from node.runtime.metrics import Metrics

PARTITION = TopicPartition("petition.uplink.370000", 0)
_MICROS = 1_000_000


def test_a_record_of_the_future_has_no_negative_lag() -> None:
    """docs/faults.md 22: the source's clock was ahead, or ours was set back after we read ours."""
    now = 1_000 * _MICROS
    metrics = Metrics()
    lag = LagGauges(metrics, lambda: now)
    lag.hold({PARTITION: 0})
    lag.polled(PARTITION, 1_600 * 1_000)
    assert shown(metrics) == 0
    now = 1_610 * _MICROS
    assert shown(metrics) == 10


def shown(metrics: Metrics) -> float | None:
    labels = {"topic": PARTITION.topic, "partition": "0"}
    return metrics.registry.get_sample_value("petitionlink_consumer_lag_seconds", labels)
