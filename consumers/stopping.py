"""Stopped partitions 停止的分区: what cannot be read goes no further, and everything else does.

A position is never moved by the consumer itself. A partition that it cannot go on from (the topic
was deleted or made again, its records are gone, reading is not allowed, nobody leads it, or it is
mostly poison) is paused and kept in the table `stopped_partition`, from which `petitionlink
status`, `/v1/status`, `/readyz` and the page /monitor read it. The consumer looks at it again at
intervals and goes on by itself once it was mended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from node.kafka import TopicPartition
from node.metrics import Metrics
from node.postgres import Cursor
from schemas.errors import PetitionLinkError

log = logging.getLogger(__name__)

# Stopped partitions are looked at this often, and so flow again within this time of their mending.
_LOOK_SECONDS = 15.0
_ELECTION_SECONDS = 2.0

MISSING: Final = "missing"
RECREATED: Final = "recreated"
RECORDS_GONE: Final = "records_gone"
BEYOND_END: Final = "beyond_end"
NOT_AUTHORIZED: Final = "not_authorized"
NO_LEADER: Final = "no_leader"
UNREADABLE: Final = "unreadable"
DEAD_LETTERS: Final = "dead_letters"
REASONS: Final = (
    *(MISSING, RECREATED, RECORDS_GONE, BEYOND_END, NOT_AUTHORIZED, NO_LEADER),
    *(UNREADABLE, DEAD_LETTERS),
)
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
    DEAD_LETTERS: "deal with its dead letters, see docs/dead-letters.md",
}


class Stopped(NamedTuple):
    """A partition that is not read on, and why: `reason` is one of REASONS, `detail` a line."""

    partition: TopicPartition
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.partition.topic} partition {self.partition.partition}: {self.detail}"


class StopPartition(PetitionLinkError):
    """One partition cannot be read on; nothing of the batch in hand was written."""

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
    """Write down which partitions are stopped, and forget it of those that flow."""
    going = [*flowing]
    cursor.execute(_FORGET, ([one.topic for one in going], [one.partition for one in going]))
    if stopped:
        rows = [(*one.partition, one.reason, one.detail) for one in stopped]
        cursor.execute(_KEEP, [list(column) for column in zip(*rows, strict=True)])


def absent(cursor: Cursor, existing: Iterable[str]) -> list[Stopped]:
    """The partitions that this node has read and whose topic the cluster has no more."""
    cursor.execute(_ABSENT, ([*existing],))
    return [Stopped(TopicPartition(topic, number), MISSING, GONE) for topic, number in cursor]


def out_of_place(
    held: Mapping[TopicPartition, int],
    recreated: Container[str],
    first: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
) -> list[Stopped]:
    """The positions `held` from which Kafka cannot serve the next record."""
    found = []
    for one, offset in sorted(held.items()):
        if one.topic in recreated:
            detail = "it was deleted and made again: what was not applied of it is gone"
            found.append(Stopped(one, RECREATED, detail))
        elif one in first and offset < first[one]:
            detail = (
                f"records that were not applied are gone from Kafka: partition {one.partition} "
                f"offsets {offset} to {first[one] - 1}"
            )
            found.append(Stopped(one, RECORDS_GONE, detail))
        elif one in end and offset > end[one]:
            detail = f"partition {one.partition} ends at {end[one]}, this node stands at {offset}"
            found.append(Stopped(one, BEYOND_END, detail))
    return found


class Board:
    """Shows the stopped partitions of this process: the gauge, and one log line a topic."""

    def __init__(self, metrics: Metrics, topics: Iterable[str]) -> None:
        self._metrics = metrics
        self._topics = {*topics}
        self._told: set[tuple[str, str]] = set()
        self._due = 0.0
        self.show([])

    def is_due(self) -> bool:
        """True if something is stopped and it is time to look whether it was mended."""
        return bool(self._told) and time.monotonic() >= self._due

    def show(self, stopped: Iterable[Stopped]) -> None:
        """Set the gauge, log what is new, and what flows again."""
        groups: dict[tuple[str, str], list[Stopped]] = {}
        for one in stopped:
            groups.setdefault((one.partition.topic, one.reason), []).append(one)
        for topic in self._topics | {topic for topic, _ in groups}:
            self._topics.add(topic)
            for reason in REASONS:
                number = len(groups.get((topic, reason), ()))
                self._metrics.consumer_stopped_partitions.labels(topic, reason).set(number)
        for key, several in groups.items():
            if key not in self._told:
                log.error("%s", line(several))
        for topic in sorted({topic for topic, _ in self._told} - {topic for topic, _ in groups}):
            log.warning("topic %s is read again", topic)
        self._told = {*groups}
        # A leader is elected within moments; everything else waits for a person.
        electing = any(reason == NO_LEADER for _, reason in groups)
        self._due = time.monotonic() + (_ELECTION_SECONDS if electing else _LOOK_SECONDS)


def line(several: Sequence[Stopped]) -> str:
    """One line for the stopped partitions of one topic and reason, with the cure."""
    topic, reason = several[0].partition.topic, several[0].reason
    numbers = ", ".join(str(one.partition.partition) for one in several)
    details = "; ".join(dict.fromkeys(one.detail for one in several))
    return (
        f"topic {topic} partition {numbers} is not read any more, all others are: {details}: "
        f"{_CURES[reason]}; this consumer looks at it again by itself"
    )
