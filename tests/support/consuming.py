"""One consumer of Shandong in tests: where its topic ends and what it has applied."""

from typing import Any

from support.world import (
    count,
    eventually,
    rows,
    running,
)

from consumers.consumer import Consumer
from node.kafka.topic_names import downlink
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

SHANDONG = "370000"
TOPIC = downlink(SHANDONG)
CASE = "110000-20260401-7K3M9QXA"
POSITION = "select next_offset from consumer_offset where topic = %s and partition = 0"


def start(settings: Settings, metrics: Metrics) -> Any:
    """Run a consumer during a `with` block."""
    return running(Consumer(settings, metrics), metrics)


def applied(settings: Settings, number: int) -> None:
    """Wait until `number` events are in the ledger."""
    eventually(lambda: count(settings, "case_event") == number, f"{number} events in the ledger")


def position(settings: Settings) -> int:
    """Return the next offset of partition 0 as Postgres has it, 0 if it has none."""
    found = rows(settings, POSITION, (TOPIC,))
    return found[0][0] if found else 0
