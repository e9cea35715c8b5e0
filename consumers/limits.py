"""Limits 上限 of dead-lettering: a topic that is mostly poison stops the loop, it is not drained.

A few bad records are dead-lettered and passed. Very many are no longer about the records: a sender
or this release is broken, and what drains away now would have to be replayed letter by letter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from consumers.batch import Advance, Arrival, Batch, Poison
from node.settings import Settings

# Of fewer records a share says nothing: the first one alone would be 100 %.
LEAST_RECORDS: Final = 200

_Partition = tuple[str, int]
_Record = Arrival | Poison


class Limits(NamedTuple):
    """How much of a partition may be dead-lettered before a person must look.

    At most `consecutive` records in a row, and at most the share `ratio` of its last `window`
    records, once there are LEAST_RECORDS.
    """

    consecutive: int
    ratio: float
    window: int


class History(NamedTuple):
    """What a partition has behind it: see `consumer_offset` and `dead_letter`.

    `judged_from` is not beyond the position. `dead` are the offsets of open dead letters among the
    last `Limits.window` records, ascending.
    """

    consecutive: int
    judged_from: int
    dead: Sequence[int]


class Tail(NamedTuple):
    """How a batch leaves a partition: poison at its end, `unbroken` if there was nothing else."""

    poison: int
    unbroken: bool


class Crossing(NamedTuple):
    """The record that would cross a limit, and which one."""

    poison: Poison
    limit: str


class Run:
    """The running state of one partition, record by record in the order of offsets."""

    def __init__(self, limits: Limits, history: History) -> None:
        self._limits = limits
        self._judged_from = history.judged_from
        self._consecutive = history.consecutive
        self._dead = deque(history.dead)

    def good(self) -> None:
        """A record that can be applied."""
        self._consecutive = 0

    def poison(self, offset: int) -> str | None:
        """A record that would be dead-lettered: which limit that crosses, if any."""
        self._consecutive += 1
        self._dead.append(offset)
        if self._consecutive > self._limits.consecutive:
            return (
                f"the {_ordinal(self._consecutive)} dead letter in a row, "
                f"PETITIONLINK_DEAD_LETTER_CONSECUTIVE is {self._limits.consecutive}"
            )
        return self._share(offset + 1)

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


def limits_of(settings: Settings) -> Limits:
    """The limits that are set."""
    return Limits(
        settings.dead_letter_consecutive, settings.dead_letter_ratio, settings.dead_letter_window
    )


def crossing(
    limits: Limits, batch: Batch, histories: Mapping[_Partition, History]
) -> Crossing | None:
    """The first record of `batch` whose dead-lettering would cross a limit.

    A partition without history is not judged: it is not ours any more.
    """
    for partition, records in _by_partition(batch):
        if partition in histories:
            run = Run(limits, histories[partition])
            for one in records:
                limit = _passed(run, one)
                if limit is not None and isinstance(one, Poison):
                    return Crossing(one, limit)
    return None


def _passed(run: Run, one: _Record) -> str | None:
    if isinstance(one, Poison):
        return run.poison(one.record.offset)
    run.good()
    return None


def tails(batch: Batch) -> list[Tail]:
    """How the batch leaves each partition that it moves, in the order of its advances."""
    if not batch.poison:
        return _tails_without_poison(batch)
    by_partition = {partition: _tail(records) for partition, records in _by_partition(batch)}
    return [_tail_of(one, by_partition) for one in batch.advances]


def _tails_without_poison(batch: Batch) -> list[Tail]:
    """A partition that only passed markers or gaps keeps its count: nothing good was read."""
    good = {(record.topic, record.partition) for record, _, _ in batch.arrivals}
    return [Tail(0, unbroken=(one.topic, one.partition) not in good) for one in batch.advances]


def _tail_of(one: Advance, tails: Mapping[_Partition, Tail]) -> Tail:
    return tails.get((one.topic, one.partition), Tail(0, unbroken=True))


def _tail(records: Sequence[_Record]) -> Tail:
    for number, one in enumerate(reversed(records)):
        if isinstance(one, Arrival):
            return Tail(number, unbroken=False)
    return Tail(len(records), unbroken=True)


def _by_partition(batch: Batch) -> Iterator[tuple[_Partition, list[_Record]]]:
    several: list[_Record] = [*batch.arrivals, *batch.poison]
    several.sort(key=lambda one: (*_partition(one), one.record.offset))
    for partition, records in groupby(several, _partition):
        yield partition, [*records]


def _partition(one: _Record) -> _Partition:
    return one.record.topic, one.record.partition


def _ordinal(number: int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
