"""Limits 上限 of dead-lettering: a partition that is mostly poison is stopped, not drained.

A few bad records are dead-lettered and passed. Very many mean that a sender or this release is
broken, and whatever is dead-lettered then must be replayed letter by letter.

The counts are in Postgres and are read only for a batch with poison in it. So they are right after
a restart, for a batch that was halved or retried, and after an operator has resolved letters.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from consumers.batch import Batch, DecodedRecord, Poison
from consumers.stopped_partitions import DEAD_LETTERS, StopPartition, Stopped
from node.kafka.clients import TopicPartition
from node.postgres.connection import Connection
from node.postgres.statements import columns
from node.runtime.settings import Settings

# A share of fewer records means nothing: the first one alone would be 100 %.
LEAST_RECORDS: Final = 200

_Partition = tuple[str, int]
_Record = DecodedRecord | Poison

# A partition whose offset has moved belongs to another process, which checks it itself.
_HISTORIES = """
    select held.topic, held.partition, held.consecutive_dead_letters,
           least(held.judged_from, moved.before),
           array(select distinct dead."offset" from dead_letter dead
                 where dead.topic = held.topic and dead.partition = held.partition
                     and dead."offset" >= moved.before - %s and dead."offset" < moved.before
                     and dead.status = 'open' order by 1)
    from unnest(%s::text[], %s::integer[], %s::bigint[]) as moved (topic, partition, before)
    join consumer_offset held on held.topic = moved.topic and held.partition = moved.partition
        and held.next_offset = moved.before
"""
_ADVICE = (
    "nothing of this batch was dead-lettered, the position stays: repair the cause; "
    "`petitionlink deadletters list` shows earlier letters: replay or discard some of them, which "
    "starts the counts again, or raise the limit"
)


class DeadLetterLimits(NamedTuple):
    """The part of a partition that may be dead-lettered before a person must look.

    At most `consecutive` records in a row, and at most the share `ratio` of its last `window`
    records, once there are LEAST_RECORDS.
    """

    consecutive: int
    ratio: float
    window: int


class DeadLetterHistory(NamedTuple):
    """The dead letters of a partition up to now, from `consumer_offset` and `dead_letter`.

    The share is counted from offset `judged_from` on. `dead` are the offsets of open dead letters
    among the last `DeadLetterLimits.window` records, ascending.
    """

    consecutive: int
    judged_from: int
    dead: Sequence[int]


_Histories = Mapping[_Partition, DeadLetterHistory]


class PoisonTail(NamedTuple):
    """The number of poison records at the end of a batch; `unbroken` if it has no good record."""

    poison: int
    unbroken: bool


class ExceededLimit(NamedTuple):
    """The record whose dead-lettering would exceed a limit, and a text about that limit."""

    poison: Poison
    text: str


class DeadLetterGuard:
    """Stops a partition before a batch that would exceed its limits."""

    def __init__(self, settings: Settings) -> None:
        consecutive, ratio = settings.dead_letter_consecutive, settings.dead_letter_ratio
        self._limits = DeadLetterLimits(consecutive, ratio, settings.dead_letter_window)

    def check(self, connection: Connection, batch: Batch) -> None:
        """Raise `StopPartition` if its poison is too much; then nothing of `batch` was stored."""
        if not batch.poison:
            return
        limit = exceeded(self._limits, batch, self._histories(connection, batch))
        if limit is not None:
            record = limit.poison.record
            detail = f"{limit.poison}: {limit.text}: {_ADVICE}"
            partition = TopicPartition(record.topic, record.partition)
            raise StopPartition(Stopped(partition, DEAD_LETTERS, detail))

    def _histories(
        self, connection: Connection, batch: Batch
    ) -> Mapping[_Partition, DeadLetterHistory]:
        with connection, connection.cursor() as cursor:
            cursor.execute(_HISTORIES, (self._limits.window, *columns(batch.ranges)[:3]))
            return {
                (topic, partition): DeadLetterHistory(*rest) for topic, partition, *rest in cursor
            }


def exceeded(limits: DeadLetterLimits, batch: Batch, histories: _Histories) -> ExceededLimit | None:
    """Return the first record of `batch` whose dead-lettering would exceed a limit.

    A partition without history is not checked: it belongs to another process now.
    """
    records: list[_Record] = [*batch.records, *batch.poison]
    records.sort(key=lambda record: (*_partition(record), record.record.offset))
    for partition, its_records in groupby(records, _partition):
        if partition in histories:
            run = _Run(limits, histories[partition])
            for record in its_records:
                text = run.add(record)
                if text is not None and isinstance(record, Poison):
                    return ExceededLimit(record, text)
    return None


class _Run:
    """The running counts of a partition, record by record in the order of offsets."""

    def __init__(self, limits: DeadLetterLimits, history: DeadLetterHistory) -> None:
        self._limits = limits
        self._judged_from = history.judged_from
        self._consecutive = history.consecutive
        self._dead = deque(history.dead)

    def add(self, record: _Record) -> str | None:
        """Count a record; return a text about the limit that its dead-lettering would exceed."""
        if isinstance(record, DecodedRecord):
            self._consecutive = 0
            return None
        self._consecutive += 1
        self._dead.append(record.record.offset)
        if self._consecutive > self._limits.consecutive:
            return (
                f"dead letter {self._consecutive} in a row, "
                f"PETITIONLINK_DEAD_LETTER_CONSECUTIVE is {self._limits.consecutive}"
            )
        return self._share(record.record.offset + 1)

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


def poison_tails(batch: Batch) -> list[PoisonTail]:
    """Return the tail of each range of the batch, in their order.

    A range of markers and gaps only continues the count: no good record was read.
    """
    last_good = {_partition(good): good.record.offset for good in batch.records}
    poison = Counter(
        _partition(bad)
        for bad in batch.poison
        if bad.record.offset > last_good.get(_partition(bad), -1)
    )
    partitions = [(moved.topic, moved.partition) for moved in batch.ranges]
    return [PoisonTail(poison[place], unbroken=place not in last_good) for place in partitions]


def _partition(record: _Record) -> _Partition:
    return record.record.topic, record.record.partition
