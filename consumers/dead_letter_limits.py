"""Limits 上限 of dead-lettering: a partition that is mostly poison is stopped, it is not drained.

A few bad records are dead-lettered and passed. Very many are no longer about the records: a sender
or this release is broken, and what drains away now would have to be replayed letter by letter.

The counts are in Postgres and are read only for a batch with poison in it. So a process that is
started again, a batch that was halved or retried, and an operator who dealt with letters in the
meantime all get the same figures.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from consumers.batch import Batch, DecodedRecord, Poison
from consumers.stopped_partitions import DEAD_LETTERS, StopPartition, Stopped
from node.kafka.clients import TopicPartition
from node.postgres.connection import Connection
from node.runtime.settings import Settings

# A share of fewer records says nothing: the first one alone would be 100 %.
LEAST_RECORDS: Final = 200

_Partition = tuple[str, int]
_Record = DecodedRecord | Poison

# A partition that is not where we left it belongs to another process, which checks it itself.
_HISTORIES = """
    select held.topic, held.partition, held.consecutive_dead_letters,
           least(held.judged_from, moved.before),
           array(select dead."offset" from dead_letter dead
                 where dead.topic = held.topic and dead.partition = held.partition
                     and dead."offset" >= moved.before - %s and dead."offset" < moved.before
                     and dead.status = 'open' order by 1)
    from unnest(%s::text[], %s::integer[], %s::bigint[]) as moved (topic, partition, before)
    join consumer_offset held on held.topic = moved.topic and held.partition = moved.partition
        and held.next_offset = moved.before
"""


class Limits(NamedTuple):
    """How much of a partition may be dead-lettered before a person must look.

    At most `consecutive` records in a row, and at most the share `ratio` of its last `window`
    records, once there are LEAST_RECORDS.
    """

    consecutive: int
    ratio: float
    window: int


class History(NamedTuple):
    """The dead letters of a partition up to now: see `consumer_offset` and `dead_letter`.

    `judged_from` is not greater than the next offset. `dead` are the offsets of open dead letters
    among the last `Limits.window` records, ascending.
    """

    consecutive: int
    judged_from: int
    dead: Sequence[int]


class Tail(NamedTuple):
    """How a batch leaves a partition: poison at its end, `unbroken` if there was nothing else."""

    poison: int
    unbroken: bool


class ExceededLimit(NamedTuple):
    """The record whose dead-lettering would exceed a limit, and the limit in words."""

    poison: Poison
    limit: str


class DeadLetterGuard:
    """Stops a partition before a batch that would exceed its limits."""

    def __init__(self, settings: Settings) -> None:
        self._limits = Limits(
            settings.dead_letter_consecutive,
            settings.dead_letter_ratio,
            settings.dead_letter_window,
        )

    def check(self, connection: Connection, batch: Batch) -> None:
        """Raise `StopPartition` if its poison is too much; then nothing of `batch` was stored."""
        if batch.poison:
            found = exceeded(self._limits, batch, self._histories(connection, batch))
            if found is not None:
                raise _too_much(found)

    def _histories(self, connection: Connection, batch: Batch) -> dict[_Partition, History]:
        columns = [list(column) for column in zip(*batch.ranges, strict=True)]
        with connection, connection.cursor() as cursor:
            cursor.execute(_HISTORIES, (self._limits.window, *columns[:3]))
            return {(topic, partition): History(*rest) for topic, partition, *rest in cursor}


def _too_much(found: ExceededLimit) -> StopPartition:
    record = found.poison.record
    detail = (
        f"{found.poison}: {found.limit}: nothing of this batch was dead-lettered, the position "
        "stays: mend the cause; `petitionlink deadletters list` shows what was kept before: replay "
        "or discard some of it, which counts anew, or raise the limit"
    )
    partition = TopicPartition(record.topic, record.partition)
    return StopPartition(Stopped(partition, DEAD_LETTERS, detail))


def exceeded(
    limits: Limits, batch: Batch, histories: Mapping[_Partition, History]
) -> ExceededLimit | None:
    """Return the first record of `batch` whose dead-lettering would exceed a limit.

    A partition without history is not checked: it is not ours any more.
    """
    for partition, records in _by_partition(batch):
        if partition in histories:
            run = _Run(limits, histories[partition])
            for one in records:
                limit = run.add(one)
                if limit is not None and isinstance(one, Poison):
                    return ExceededLimit(one, limit)
    return None


class _Run:
    """The running counts of one partition, record by record in the order of offsets."""

    def __init__(self, limits: Limits, history: History) -> None:
        self._limits = limits
        self._judged_from = history.judged_from
        self._consecutive = history.consecutive
        self._dead = deque(history.dead)

    def add(self, one: _Record) -> str | None:
        """Count a record; return the limit that its dead-lettering would exceed, if any."""
        if isinstance(one, DecodedRecord):
            self._consecutive = 0
            return None
        self._consecutive += 1
        self._dead.append(one.record.offset)
        if self._consecutive > self._limits.consecutive:
            return (
                f"the {_ordinal(self._consecutive)} dead letter in a row, "
                f"PETITIONLINK_DEAD_LETTER_CONSECUTIVE is {self._limits.consecutive}"
            )
        return self._share(one.record.offset + 1)

    def _share(self, end: int) -> str | None:
        first = max(end - self._limits.window, self._judged_from)
        while self._dead[0] < first:
            self._dead.popleft()
        dead, records = len(self._dead), end - first
        if records < LEAST_RECORDS or dead <= self._limits.ratio * records:
            return None
        return (
            f"{dead} of the last {records} records would be dead letters, "
            f"PETITIONLINK_DEAD_LETTER_RATIO is {self._limits.ratio:g}"
        )


def tails(batch: Batch) -> list[Tail]:
    """Return how the batch leaves each partition that it moves, in the order of its ranges.

    A partition that only passed markers or gaps keeps its count: nothing good was read.
    """
    last_good = {(one.topic, one.partition): one.offset for one, _, _ in batch.records}
    poison = Counter(
        _partition(one)
        for one in batch.poison
        if one.record.offset > last_good.get(_partition(one), -1)
    )
    partitions = [(one.topic, one.partition) for one in batch.ranges]
    return [Tail(poison[one], unbroken=one not in last_good) for one in partitions]


def _by_partition(batch: Batch) -> Iterator[tuple[_Partition, list[_Record]]]:
    several: list[_Record] = [*batch.records, *batch.poison]
    several.sort(key=lambda one: (*_partition(one), one.record.offset))
    for partition, records in groupby(several, _partition):
        yield partition, [*records]


def _partition(one: _Record) -> _Partition:
    return one.record.topic, one.record.partition


def _ordinal(number: int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
