"""Stopped partitions 停止的分区: a partition that cannot be read on stops, and all others go on.

The consumer never moves an offset past records that it did not apply. A partition that cannot be
read on (the topic was deleted or created again, its records are gone, reading is not allowed, it
has no leader, or it is mostly poison) is paused and stored in the table `stopped_partition`, which
`petitionlink status`, `/v1/status`, `/readyz` and the page /monitor show. The consumer checks it at
intervals and continues by itself once it was repaired.
"""

import logging
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from kafka import KafkaConsumer
from kafka.errors import TopicAuthorizationFailedError

from consumers.policy import ConsumerPolicy
from node.kafka import library_patches
from node.kafka.clients import TopicPartition
from node.postgres.connection import Cursor
from node.postgres.statements import columns
from node.runtime.metrics import Metrics
from schemas.errors import PetitionLinkError

log = logging.getLogger(__name__)

_ANSWER_MS = 5_000

MISSING: Final = "missing"
RECREATED: Final = "recreated"
RECORDS_GONE: Final = "records_gone"
BEYOND_END: Final = "beyond_end"
NOT_AUTHORIZED: Final = "not_authorized"
NO_LEADER: Final = "no_leader"
UNREADABLE: Final = "unreadable"
DEAD_LETTERS: Final = "dead_letters"
# Kafka says the same of a topic that is gone and of one that a principal may not see.
GONE: Final = "the topic does not exist any more, or Kafka does not let this node see it (its ACL)"
_RECOVER = (
    "run `petitionlink recover`; the source sends their events again, and "
    "`petitionlink reconcile` names them"
)
_CURES: Final[Mapping[str, str]] = {
    MISSING: (
        "if it is gone, make it again with `petitionlink topics apply` and run "
        "`petitionlink recover`"
    ),
    RECREATED: _RECOVER,
    RECORDS_GONE: _RECOVER,
    BEYOND_END: _RECOVER,
    NOT_AUTHORIZED: "let this node's principal read the topic (its ACL in Kafka)",
    NO_LEADER: "bring the broker back that leads it",
    UNREADABLE: "repair the broker's log, or install a release that knows the codec",
    DEAD_LETTERS: "resolve its dead letters, see docs/dead-letters.md",
}
REASONS: Final = tuple(_CURES)


class Stopped(NamedTuple):
    """A partition that is not read on: `reason` is one of REASONS, `detail` is one line."""

    partition: TopicPartition
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.partition.topic} partition {self.partition.partition}: {self.detail}"


class StopPartition(PetitionLinkError):
    """A partition cannot be read on; nothing of the current batch was written."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(str(stopped))
        self.stopped = stopped


_KEEP = """
    insert into stopped_partition (topic, partition, reason, detail)
    select * from unnest(%s::text[], %s::integer[], %s::text[], %s::text[])
    on conflict (topic, partition) do update set reason = excluded.reason,
        detail = excluded.detail,
        since = case when stopped_partition.reason = excluded.reason
                then stopped_partition.since else now() end
    where (stopped_partition.reason, stopped_partition.detail)
        is distinct from (excluded.reason, excluded.detail)
"""
_FORGET = """
    delete from stopped_partition s using unnest(%s::text[], %s::integer[]) as g (topic, partition)
    where s.topic = g.topic and s.partition = g.partition
"""
_ABSENT = "select topic, partition from consumer_offset where topic <> all(%s) order by 1, 2"


def keep(cursor: Cursor, stopped: Sequence[Stopped], flowing: Iterable[TopicPartition]) -> None:
    """Store the stopped partitions in Postgres, and delete those that are read again."""
    going = [*flowing]
    if going:
        cursor.execute(_FORGET, columns(going))
    if stopped:
        cursor.execute(_KEEP, columns((*one.partition, one.reason, one.detail) for one in stopped))


def absent(cursor: Cursor, existing: Iterable[str]) -> list[Stopped]:
    """Return the partitions that this node has read and whose topic does not exist any more."""
    cursor.execute(_ABSENT, ([*existing],))
    return [Stopped(TopicPartition(topic, number), MISSING, GONE) for topic, number in cursor]


def out_of_place(
    held: Mapping[TopicPartition, int],
    recreated: Container[str],
    first: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
) -> list[Stopped]:
    """Return the partitions of which Kafka does not have the offset in `held`."""
    stopped = []
    for place, offset in sorted(held.items()):
        number = place.partition
        if place.topic in recreated:
            detail = "it was deleted and made again: its records that were not applied are gone"
            stopped.append(Stopped(place, RECREATED, detail))
        elif place in first and offset < first[place]:
            detail = (
                f"records that were not applied are gone from Kafka: partition {number} "
                f"offsets {offset} to {first[place] - 1}"
            )
            stopped.append(Stopped(place, RECORDS_GONE, detail))
        elif place in end and offset > end[place]:
            detail = f"partition {number} ends at {end[place]}, this node is at {offset}"
            stopped.append(Stopped(place, BEYOND_END, detail))
    return stopped


class HeldBounds(NamedTuple):
    """The first and the next offset of each partition; without an answer, it is in `stopped`."""

    first: dict[TopicPartition, int]
    end: dict[TopicPartition, int]
    stopped: list[Stopped]


def ask_bounds(
    client: KafkaConsumer, held: Iterable[TopicPartition], existing: set[str]
) -> HeldBounds:
    """Ask Kafka for the bounds of the partitions `held`; `existing` are the topics that it has.

    The client fails for all partitions if one of them has no leader or may not be read, so those
    are left out, each with its reason. Raises a Kafka error while the cluster is away.
    """
    stopped: list[Stopped] = []
    asked: list[TopicPartition] = []
    for partition in sorted(held):
        if partition.topic not in existing:
            stopped.append(Stopped(partition, MISSING, GONE))
        elif library_patches.is_leaderless(client, partition):
            stopped.append(Stopped(partition, NO_LEADER, "no broker leads it"))
        else:
            asked.append(partition)
    return _ask(client, asked, stopped)


def _ask(client: KafkaConsumer, asked: list[TopicPartition], stopped: list[Stopped]) -> HeldBounds:
    if not asked:
        return HeldBounds({}, {}, stopped)
    try:
        first = client.beginning_offsets(asked, timeout_ms=_ANSWER_MS)
        return HeldBounds(first, client.end_offsets(asked, timeout_ms=_ANSWER_MS), stopped)
    except TopicAuthorizationFailedError as error:
        refused = not_authorized(asked, error)
        left = {*asked} - {one.partition for one in refused}
        return _ask(client, sorted(left), stopped + refused)


def not_authorized(
    held: Iterable[TopicPartition], error: TopicAuthorizationFailedError
) -> list[Stopped]:
    """Return the partitions of the topics that `error` names; raise it if none of `held` is one."""
    topics = {*error.args[0]} if error.args and not isinstance(error.args[0], str) else set()
    stopped = [
        Stopped(partition, NOT_AUTHORIZED, "Kafka does not let this node read it")
        for partition in held
        if partition.topic in topics
    ]
    if not stopped:
        raise error
    return stopped


class StoppedReporter:
    """Reports the stopped partitions of this process: the gauge, and one log line a topic."""

    def __init__(self, metrics: Metrics, topics: Iterable[str], policy: ConsumerPolicy) -> None:
        self._metrics = metrics
        self._topics = {*topics}
        self._policy = policy
        self._reported: set[tuple[str, str]] = set()
        self._due = 0.0
        self.report([])

    def is_recheck_due(self) -> bool:
        """Return whether a partition is stopped and it is time to check it again."""
        return bool(self._reported) and time.monotonic() >= self._due

    def report(self, stopped: Iterable[Stopped]) -> None:
        """Set the gauge; log the partitions that stopped and the topics that are read again."""
        groups: dict[tuple[str, str], list[Stopped]] = {}
        for each in stopped:
            groups.setdefault((each.partition.topic, each.reason), []).append(each)
        self._set_gauges(groups)
        for key, group in groups.items():
            if key not in self._reported:
                log.error("%s", line(group))
        before = {topic for topic, _ in self._reported}
        for topic in sorted(before - {topic for topic, _ in groups}):
            log.warning("topic %s is read again", topic)
        self._reported = {*groups}
        electing = any(reason == NO_LEADER for _, reason in groups)
        policy = self._policy
        seconds = policy.recheck_leader_seconds if electing else policy.recheck_seconds
        self._due = time.monotonic() + seconds

    def _set_gauges(self, groups: Mapping[tuple[str, str], Sequence[Stopped]]) -> None:
        self._topics |= {topic for topic, _ in groups}
        for topic in self._topics:
            for reason in REASONS:
                number = len(groups.get((topic, reason), ()))
                self._metrics.consumer_stopped_partitions.labels(topic, reason).set(number)


def line(stopped: Sequence[Stopped]) -> str:
    """Return one line about the stopped partitions of one topic and reason, with the cure."""
    topic, reason = stopped[0].partition.topic, stopped[0].reason
    numbers = ", ".join(str(each.partition.partition) for each in stopped)
    details = "; ".join(dict.fromkeys(each.detail for each in stopped))
    return (
        f"topic {topic} partition {numbers} is not read any more, all others are: {details}: "
        f"{_CURES[reason]}; this consumer checks it again by itself"
    )
