"""Every metric 指标 of a node, as one commented list (docs/contract.md §6).

Base units, prefix `petitionlink_`; never a case id, person, offset or error text in a label.
docs/metrics.md is made from this list: `python -m node.runtime.metrics > docs/metrics.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase

# From one commit of Postgres to a slow batch after an outage.
_BATCH_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_BATCH_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
# Milliseconds on a healthy day; alerts look at 300 s and 3600 s.
_DELIVERY_SECONDS = (
    *(0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5),
    *(1, 2, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400),
)
DEPENDENCIES = ("kafka", "postgres")
_Kind = TypeVar("_Kind", bound=MetricWrapperBase)


class _Metric(Generic[_Kind]):
    """A line of the list. Each `Metrics` has an attribute of the same name: the metric itself."""

    def __init__(self, kind: type[_Kind], text: str, *labels: str, **options: Any) -> None:
        self._make: Callable[..., _Kind] = partial(
            kind, documentation=text, labelnames=labels, namespace="petitionlink", **options
        )

    def __set_name__(self, _owner: object, name: str) -> None:
        self._name = name

    def add_to(self, metrics: Metrics) -> None:
        """Make the metric; its name is that of the attribute."""
        setattr(metrics, self._name, self._make(self._name, registry=metrics.registry))

    def __get__(self, metrics: Metrics, _owner: object) -> _Kind:
        """Tell the type of the attribute; the attribute itself is found without this method."""
        raise AttributeError(self._name)


_info = partial(_Metric, Info)
_gauge = partial(_Metric, Gauge)
_counter = partial(_Metric, Counter)
_histogram = partial(_Metric, Histogram)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    build = _info("The release that runs and the node it runs for.")
    # 1 while Kafka and Postgres answer, 0 while we wait for them: degraded, not dead.
    dependency_up = _gauge(
        "1 while the dependency answers, 0 while it is away or confirms no commit. What cannot "
        "be read from Postgres meanwhile is NaN, or has no sample.",
        "dependency",
    )
    # A long transaction in any database of the cluster holds back the feed and vacuum. Postgres
    # shows those of other roles only to a member of pg_monitor.
    postgres_oldest_transaction_seconds = _gauge(
        "Age of the oldest transaction open in the Postgres cluster, idle ones too, 0 if there "
        "is none; without the role pg_monitor only of those of the node's own role."
    )
    # Beyond PETITIONLINK_CLOCK_BOUND_SECONDS either way the routines wait.
    clock_skew_seconds = _gauge(
        "Seconds by which this machine's clock is ahead of the broker's, negative if behind; NaN "
        "if never measured."
    )
    # Connections cost descriptors; their number is bounded.
    web_connections = _gauge("Connections that are open to the web service.")
    # Clients that are slow, or too many; a busy day has some, an attack thousands.
    web_connections_ended = _counter(
        "Connections that the web service ended by itself: slow_headers, slow_body, "
        "slow_reader, crowded_out (made room for another) or refused (no room).",
        "reason",
    )
    # Many wrong ones are somebody who guesses; an alert looks at their rate.
    enquiry_attempts = _counter(
        "Attempts to open a case at /enquiry: opened, wrong, or too_often (from an address "
        "that is over its limit).",
        "result",
    )
    consumer_records = _counter(
        "Records by what became of them: applied, duplicate, conflict or dead_letter.",
        "topic",
        "result",
    )
    # Clamped at 0: the end offset may have been read before the position.
    consumer_lag_records = _gauge("Records between position and end.", "topic", "partition")
    # Grows while stuck, which a count of records does not show.
    consumer_lag_seconds = _gauge(
        "Age of the oldest record that is not applied, 0 if there is none.", "topic", "partition"
    )
    consumer_applied_offset = _gauge("The next offset to apply.", "topic", "partition")
    consumer_rebalances = _counter("Times that partitions were assigned again.")
    # A zombie's write that was rolled back.
    consumer_fenced_transactions = _counter(
        "Transactions rolled back because another process had moved the offset."
    )
    # 0 for every topic and reason that is read; not 0: a person must mend something.
    consumer_stopped_partitions = _gauge(
        "Partitions that are not read on: missing, recreated, records_gone, beyond_end, "
        "not_authorized, no_leader, unreadable or dead_letters; 0 while they are.",
        "topic",
        "reason",
    )
    consumer_batch_seconds = _histogram("Time of one batch's transaction.", buckets=_BATCH_SECONDS)
    consumer_batch_records = _histogram("Records of one batch.", buckets=_BATCH_RECORDS)
    event_delivery_seconds = _histogram(
        "From an event's recording at its source to its applying here.",
        "source",
        buckets=_DELIVERY_SECONDS,
    )
    # By the source's clock, judged by the broker's; the events are applied as they are.
    events_implausible_time = _counter(
        "Events whose dates were implausible when they arrived, by their source.", "source"
    )
    outbox_pending_records = _gauge("Outbox rows that are not yet acknowledged.", "topic")
    outbox_oldest_pending_seconds = _gauge(
        "Age of the oldest outbox row that is not yet acknowledged, 0 if there is none.", "topic"
    )
    outbox_published = _counter(
        "Outbox rows handed to Kafka: acknowledged or failed (and kept).", "topic", "result"
    )
    # 1: a destination's topic is missing or may not be written; the others are published.
    outbox_stopped_topics = _gauge(
        "1 for a topic that takes nothing while something waits for it, or on which another "
        "producer's open transaction hides what follows; 0 for all others.",
        "topic",
    )
    takes_commands = _gauge(
        "1 while commands are taken, 0 while the database may lack events of its own topics."
    )
    own_events_only_here = _gauge(
        "Own events that the node's own topic has not got yet: lost if the database died now."
    )
    own_events_only_here_oldest_seconds = _gauge(
        "Age of the oldest own event that the own topic has not got yet, 0 if there is none."
    )
    own_backfill_cases = _gauge(
        "Cases of which own events may still have to be put on the own topic (backfill)."
    )
    dead_letters_open = _gauge("Dead letters that nobody has dealt with.", "reason")
    dead_letter_oldest_open_seconds = _gauge(
        "Age of the oldest dead letter that nobody has dealt with, 0 if there is none."
    )
    cases_incomplete = _gauge("Cases of which events are known to be missing.")
    # Duties only, as the rule sets say; a window lapses, and nobody is late with it.
    cases_overdue = _gauge("Cases with a running duty that was due before now.", "clock")
    # Counted from now on: `168h` has those of `24h` in it.
    cases_due = _gauge(
        "Cases with a running duty that is due from now on, within this time.", "clock", "within"
    )
    # Diverted, withdrawn and merged ones rightly have nobody; any other state should be 0.
    cases_unhandled = _gauge("Cases that no node is responsible for, by their state.", "state")
    cases_in_conflict = _gauge("Cases with events that were not legal where they stood.")
    # Not 0 at a province for longer than a history takes to arrive: sent to the wrong one.
    cases_without_part = _gauge("Cases that came to this province, which has no part in them.")
    # The centre knows whom to expect, so that a silent node can alert.
    nodes_expected = _gauge("1 for each node that should take part (national only).", "node")
    # Not 0: events are missing on one side; `petitionlink reconcile --with` names them.
    reconciliation_mismatched_cases = _gauge(
        "Cases of which this node and the peer did not hold the same events.", "peer"
    )
    # 0 until the first proof; alert when it is older than two hours.
    reconciliation_last_success_timestamp_seconds = _gauge(
        "When this node and the peer last proved to hold the same events.", "peer"
    )
    # Both ends of a flow, as each node knows them; the last account of the peer for its end.
    flow_events = _gauge(
        "Events by stage: committed, published, received, applied, dead_lettered.",
        "source",
        "destination",
        "stage",
    )
    # Not 0 for longer than it takes to catch up: something is lost, or doubled.
    flow_unaccounted_events = _gauge(
        "Events committed that are neither pending, in flight, applied nor dead-lettered.",
        "source",
        "destination",
    )
    # Acknowledged by the broker is not applied by the receiver.
    outbox_unconfirmed_records = _gauge(
        "Published outbox rows of which the receiver has not yet said that it applied them.",
        "topic",
    )
    # Not 0 for the last three: a peer writes what no release of ours does.
    control_messages = _counter(
        "Control messages by peer and result: handled, unknown_kind (of a newer release), "
        "too_large, malformed or refused; the last three were dropped.",
        "peer",
        "result",
    )
    # 0 until the first pass; alert when it is older than a pass should take at the set rate.
    scrub_last_complete_timestamp_seconds = _gauge(
        "When the whole ledger had last been recomputed from its bytes, 0 for never."
    )
    # Grows while a pass is under way.
    scrub_pass_events = _gauge("Events that the present pass has recomputed from their bytes.")
    # Not 0 after an hour: nobody could heal it; `petitionlink status` names the cases.
    scrub_findings_open = _gauge("Open findings of the scrub.", "kind")

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for declared in vars(Metrics).values():
            if isinstance(declared, _Metric):
                declared.add_to(self)

    def about(self, node: str) -> None:
        """Set the node's labels, and both dependencies to 0: neither has answered yet."""
        for dependency in DEPENDENCIES:
            self.dependency_up.labels(dependency).set(0)
        self.build.info({"version": version("petitionlink"), "node": node})


def documentation() -> str:
    """Return the text of docs/metrics.md, a table made from the list above."""
    lines = [
        "# Metrics 指标",
        "",
        "Made by `python -m node.runtime.metrics`; `make check` holds it against the code.",
        "",
        "| metric | type | meaning |",
        "|---|---|---|",
    ]
    for family in Metrics().registry.collect():
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        lines.append(f"| `{family.name}{suffix}` | {family.type} | {family.documentation} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(documentation(), end="")
