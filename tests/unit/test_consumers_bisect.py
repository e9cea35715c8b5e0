"""Bisection: the culprit alone is dead-lettered, its neighbours are applied, no offset is lost."""

from typing import Any, NamedTuple

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Batch, DecodedRecord, OffsetRange
from consumers.bisect import apply_bisecting
from schemas.errors import REFUSED_BY_DATABASE


class FakeRecord(NamedTuple):
    topic: str
    partition: int
    offset: int


class DataError(psycopg2.Error):
    pgcode = "22021"


class Log:
    """Stands for the database: refuses some offsets, and holds offsets by compare-and-set."""

    def __init__(self, bad: set[tuple[int, int]], starts: dict[int, int]) -> None:
        self.bad = bad
        self.positions = dict(starts)
        self.applied: list[tuple[int, int]] = []
        self.dead: list[tuple[int, int, str]] = []

    def apply(self, batch: Batch) -> None:
        places = [(one.record.partition, one.record.offset) for one in batch.records]
        if self.bad.intersection(places):
            raise DataError
        for one in batch.ranges:
            assert self.positions[one.partition] == one.before
            self.positions[one.partition] = one.after
        self.applied += places
        self.dead += [(p.record.partition, p.record.offset, p.reason) for p in batch.poison]


PLACES = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 20)), min_size=1, max_size=30)


def batch_of(places: set[tuple[int, int]]) -> tuple[Batch, dict[int, int], dict[int, int]]:
    by_partition: dict[int, list[int]] = {}
    for partition, offset in places:
        by_partition.setdefault(partition, []).append(offset)
    starts = {partition: min(offsets) for partition, offsets in by_partition.items()}
    ends = {partition: max(offsets) + 1 for partition, offsets in by_partition.items()}
    event: Any = None
    packed: Any = None
    decoded = [DecodedRecord(FakeRecord("t", *place), event, packed) for place in sorted(places)]
    ranges = [OffsetRange("t", p, starts[p], ends[p]) for p in by_partition]
    return Batch(decoded, [], ranges), starts, ends


@given(PLACES, st.data())
def test_only_the_culprits_are_dead_lettered_and_every_offset_moves(
    places: set[tuple[int, int]], data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.sampled_from(sorted(places))))
    batch, starts, ends = batch_of(places)
    log = Log(bad, starts)
    apply_bisecting(batch, log.apply)
    assert sorted(log.applied) == sorted(places - bad)
    assert sorted(log.dead) == sorted((p, o, REFUSED_BY_DATABASE) for p, o in bad)
    assert log.positions == ends


def test_a_good_batch_is_applied_in_one_go() -> None:
    batch, starts, _ = batch_of({(0, offset) for offset in range(20)})
    log = Log(set(), starts)
    calls: list[Batch] = []

    def apply(one: Batch) -> None:
        calls.append(one)
        log.apply(one)

    apply_bisecting(batch, apply)
    assert len(calls) == 1


def test_what_is_not_about_a_value_is_not_bisected() -> None:
    batch, _, _ = batch_of({(0, 0), (0, 1)})

    def away(_: Batch) -> None:
        raise psycopg2.OperationalError("server closed the connection")

    with pytest.raises(psycopg2.OperationalError):
        apply_bisecting(batch, away)


def test_a_batch_keeps_everything_when_it_gets_what_was_computed_ahead() -> None:
    """Seen failing with `_replace`: a batch has a length of its own, of its records."""
    batch, _, _ = batch_of({(0, 0), (0, 1), (1, 5)})
    assert batch.with_precomputed(None) == batch
    assert len(batch.with_precomputed(None)) == 3
