"""Every metric 指标 of a node, as one commented list (docs/contract.md §6).

Base units, prefix `petitionlink_`; never a case id, person, offset or error text in a label.
docs/metrics.md is made from this list: `python -m node.runtime.metrics > docs/metrics.md`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

# From one commit of Postgres to a slow batch after an outage.
_BATCH_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_BATCH_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
# Milliseconds on a healthy day; alerts look at 300 s and 3600 s.
_DELIVERY_SECONDS = (
    *(0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5),
    *(1, 2, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400),
)


DEPENDENCIES = ("kafka", "postgres")


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._about_the_process()
        self._about_the_web()
        self._about_the_consumer()
        self._about_the_outbox()
        self._about_the_own_topic()
        self._about_the_cases()
        self._about_the_proof()
        self._about_the_scrub()

    def _about_the_process(self) -> None:
        # Which release runs for which node.
        self.build_info = self._info("build", "The release that runs and the node it runs for.")
        # 1 while Kafka and Postgres answer, 0 while we wait for them: degraded, not dead.
        self.dependency_up = self._gauge(
            "dependency_up",
            "1 while the dependency answers, 0 while it is away or confirms no commit. What cannot "
            "be read from Postgres meanwhile is NaN, or has no sample.",
            "dependency",
        )
        # It holds back the feed and vacuum, of whatever database; other roles' transactions are
        # told only to a member of pg_monitor.
        self.postgres_oldest_transaction_seconds = self._gauge(
            "postgres_oldest_transaction_seconds",
            "Age of the oldest transaction open in the Postgres cluster, idle ones too, 0 if there "
            "is none; without the role pg_monitor only of those of the node's own role.",
        )

        # Beyond PETITIONLINK_CLOCK_BOUND_SECONDS either way the routines wait.
        self.clock_skew_seconds = self._gauge(
            "clock_skew_seconds",
            "By how much this machine's clock is ahead of the broker's, negative if it is behind; "
            "NaN if that was never measured.",
        )

    def _about_the_web(self) -> None:
        # Connections cost descriptors; their number is bounded.
        self.web_connections = self._gauge(
            "web_connections", "Connections that are open to the web service."
        )
        # Clients that are slow, or too many; a busy day has some, an attack thousands.
        self.web_connections_ended = self._counter(
            "web_connections_ended",
            "Connections that the web service ended by itself: slow_headers, slow_body, "
            "slow_reader, crowded_out (made room for another) or refused (no room).",
            "reason",
        )
        # Many wrong ones are somebody who guesses; an alert looks at their rate.
        self.enquiry_attempts = self._counter(
            "enquiry_attempts",
            "Attempts to open a case at /enquiry: opened, wrong, or too_often (from an address "
            "that is over its limit).",
            "result",
        )

    def _about_the_consumer(self) -> None:
        # What became of every record that was polled.
        self.consumer_records = self._counter(
            "consumer_records",
            "Records by what became of them: applied, duplicate, conflict or dead_letter.",
            *("topic", "result"),
        )
        # Clamped at 0: the end offset may have been read before the position.
        self.consumer_lag_records = self._gauge(
            "consumer_lag_records", "Records between position and end.", "topic", "partition"
        )
        # Grows while stuck, which a count of records does not show.
        self.consumer_lag_seconds = self._gauge(
            "consumer_lag_seconds",
            "Age of the oldest record that is not applied, 0 if there is none.",
            *("topic", "partition"),
        )
        # Applied means committed in Postgres.
        self.consumer_applied_offset = self._gauge(
            "consumer_applied_offset", "The next offset to apply.", "topic", "partition"
        )
        self.consumer_rebalances = self._counter(
            "consumer_rebalances", "Times that partitions were assigned again."
        )
        # A zombie's write that was rolled back.
        self.consumer_fenced_transactions = self._counter(
            "consumer_fenced_transactions",
            "Transactions rolled back because another process had moved the offset.",
        )
        # 0 for every topic and reason that is read; not 0: a person must mend something.
        self.consumer_stopped_partitions = self._gauge(
            "consumer_stopped_partitions",
            "Partitions that are not read on: missing, recreated, records_gone, beyond_end, "
            "not_authorized, no_leader, unreadable or dead_letters; 0 while they are.",
            *("topic", "reason"),
        )
        self.consumer_batch_seconds = self._histogram(
            "consumer_batch_seconds", "Time of one batch's transaction.", _BATCH_SECONDS
        )
        self.consumer_batch_records = self._histogram(
            "consumer_batch_records", "Records of one batch.", _BATCH_RECORDS
        )
        # The whole way: recorded at the source → applied here.
        self.event_delivery_seconds = self._histogram(
            "event_delivery_seconds",
            "From an event's recording at its source to its applying here.",
            _DELIVERY_SECONDS,
            "source",
        )

        # By the source's clock, judged by the broker's; the events are applied as they are.
        self.events_implausible_time = self._counter(
            "events_implausible_time",
            "Events whose dates were implausible when they arrived, by their source.",
            "source",
        )

    def _about_the_outbox(self) -> None:
        self.outbox_pending_records = self._gauge(
            "outbox_pending_records", "Outbox rows that are not yet acknowledged.", "topic"
        )
        self.outbox_oldest_pending_seconds = self._gauge(
            "outbox_oldest_pending_seconds",
            "Age of the oldest outbox row that is not yet acknowledged, 0 if there is none.",
            "topic",
        )
        self.outbox_published = self._counter(
            "outbox_published",
            "Outbox rows handed to Kafka: acknowledged or failed (and kept).",
            *("topic", "result"),
        )

        # 1: a destination's topic is missing or may not be written; the others are published.
        self.outbox_stopped_topics = self._gauge(
            "outbox_stopped_topics",
            "1 for a topic that takes nothing while something waits for it, or on which another "
            "producer's open transaction hides what follows; 0 for all others.",
            "topic",
        )

    def _about_the_own_topic(self) -> None:
        self.takes_commands = self._gauge(
            "takes_commands",
            "1 while commands are taken, 0 while the database may lack events of its own topics.",
        )
        self.own_events_only_here = self._gauge(
            "own_events_only_here",
            "Own events that the node's own topic has not got yet: lost if the database died now.",
        )
        self.own_events_only_here_oldest_seconds = self._gauge(
            "own_events_only_here_oldest_seconds",
            "Age of the oldest own event that the own topic has not got yet, 0 if there is none.",
        )
        self.own_backfill_cases = self._gauge(
            "own_backfill_cases",
            "Cases of which own events may still have to be put on the own topic (backfill).",
        )

    def _about_the_cases(self) -> None:
        self.dead_letters_open = self._gauge(
            "dead_letters_open", "Dead letters that nobody has dealt with.", "reason"
        )
        self.dead_letter_oldest_open_seconds = self._gauge(
            "dead_letter_oldest_open_seconds",
            "Age of the oldest dead letter that nobody has dealt with, 0 if there is none.",
        )
        self.cases_incomplete = self._gauge(
            "cases_incomplete", "Cases of which events are known to be missing."
        )
        # Duties only, as the rule sets say; a window lapses, and nobody is late with it.
        self.cases_overdue = self._gauge(
            "cases_overdue", "Cases with a running duty that was due before now.", "clock"
        )
        # Counted from now on: `168h` has those of `24h` in it.
        self.cases_due = self._gauge(
            "cases_due",
            "Cases with a running duty due from now on, within so long.",
            *("clock", "within"),
        )
        # Diverted, withdrawn and merged ones rightly have nobody; any other state should be 0.
        self.cases_unhandled = self._gauge(
            "cases_unhandled", "Cases that no node is responsible for, by their state.", "state"
        )
        self.cases_in_conflict = self._gauge(
            "cases_in_conflict", "Cases with events that were not legal where they stood."
        )
        # Not 0 at a province for longer than a history takes to arrive: sent to the wrong one.
        self.cases_without_part = self._gauge(
            "cases_without_part", "Cases that came to this province, which has no part in them."
        )
        # The centre knows whom to expect, so that a silent node can alert.
        self.nodes_expected = self._gauge(
            "nodes_expected", "1 for each node that should take part (national only).", "node"
        )

    def _about_the_proof(self) -> None:
        # Not 0: events are missing on one side; `petitionlink reconcile --with` names them.
        self.reconciliation_mismatched_cases = self._gauge(
            "reconciliation_mismatched_cases",
            "Cases of which this node and the peer did not hold the same events.",
            "peer",
        )
        # 0 until the first proof; alert when it is older than two hours.
        self.reconciliation_last_success_timestamp = self._gauge(
            "reconciliation_last_success_timestamp_seconds",
            "When this node and the peer last proved to hold the same events.",
            "peer",
        )
        # Both ends of a flow, as each node knows them; the last account of the peer for its end.
        self.flow_events = self._gauge(
            "flow_events",
            "Events by stage: committed, published, received, applied, dead_lettered.",
            *("source", "destination", "stage"),
        )
        # Not 0 for longer than it takes to catch up: something is lost, or doubled.
        self.flow_unaccounted_events = self._gauge(
            "flow_unaccounted_events",
            "Events committed that are neither pending, in flight, applied nor dead-lettered.",
            *("source", "destination"),
        )
        # Acknowledged by the broker is not applied by the receiver.
        self.outbox_unconfirmed_records = self._gauge(
            "outbox_unconfirmed_records",
            "Published outbox rows of which the receiver has not yet said that it applied them.",
            "topic",
        )

        # Not 0 for the last three: a peer writes what no release of ours does.
        self.control_messages = self._counter(
            "control_messages",
            "Control messages by peer and result: handled, unknown_kind (of a newer release), "
            "too_large, malformed or refused; the last three were dropped.",
            *("peer", "result"),
        )

    def _about_the_scrub(self) -> None:
        # 0 until the first pass; alert when it is older than a pass should take at the set rate.
        self.scrub_last_complete_timestamp = self._gauge(
            "scrub_last_complete_timestamp_seconds",
            "When the whole ledger had last been recomputed from its bytes, 0 for never.",
        )
        # Grows while a pass is under way.
        self.scrub_pass_events = self._gauge(
            "scrub_pass_events", "Events that the present pass has recomputed from their bytes."
        )
        # Not 0 after an hour: nobody could heal it; `petitionlink status` names the cases.
        self.scrub_findings_open = self._gauge(
            "scrub_findings_open", "Open findings of the scrub.", "kind"
        )

    def about(self, node: str) -> None:
        """Say which node this is; nothing has answered it yet."""
        for dependency in DEPENDENCIES:
            self.dependency_up.labels(dependency).set(0)
        self.build_info.info({"version": version("petitionlink"), "node": node})

    def _info(self, name: str, text: str) -> Info:
        return Info(name, text, namespace="petitionlink", registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace="petitionlink", registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace="petitionlink", registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            name, text, labels, namespace="petitionlink", registry=self.registry, buckets=buckets
        )


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """As `histogram.observe` of each value; a batch has thousands, and the library takes one."""
    bounds = histogram._upper_bounds
    places = Counts(bisect_left(bounds, value) for value in values)
    for place, number in places.items():
        histogram._buckets[place].inc(number)
    histogram._sum.inc(sum(values))


def documentation() -> str:
    """docs/metrics.md: a table made from the list above."""
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
