"""Isolation 隔离: finding the one record that Postgres refuses.

Decoding catches what is wrong with a record by itself. What only the database can refuse is
found by halving: each half is a transaction of its own, until the culprit stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from consumers.batch import Advance, Arrival, Batch, Poison
from node.errors import is_data_error
from schemas.errors import REFUSED_BY_DATABASE

Apply = Callable[[Batch], None]
_Place = tuple[str, int, int]


def apply_isolating(batch: Batch, apply: Apply) -> None:
    """Apply `batch`; where Postgres refuses a value, dead-letter that record and go on.

    `apply` is called once for a good batch, about 2·log2(n) times more for each culprit.
    Raises whatever `apply` raises that is not about a record's own value.
    """
    try:
        apply(batch)
    except Exception as error:
        if not is_data_error(error) or not batch.arrivals:
            raise
        if len(batch) == 1:
            apply(_condemned(batch, error))
            return
        for half in _halves(batch):
            apply_isolating(half, apply)


def _condemned(batch: Batch, error: Exception) -> Batch:
    (arrival,) = batch.arrivals
    code = getattr(error, "pgcode", "") or ""
    poison = Poison(arrival.record, REFUSED_BY_DATABASE, f"Postgres refuses its value ({code})")
    return Batch([], [poison], batch.advances, batch.read_at)


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    """The batch cut in two before a record; each half moves its own part of the offsets."""
    several: list[Arrival | Poison] = [*batch.arrivals, *batch.poison]
    records = sorted(several, key=_place)
    middle = len(records) // 2
    cut = _place(records[middle])
    first, second = _cut_advances(batch.advances, cut, _place(records[middle - 1]))
    return (
        _batch(records[:middle], first, batch.read_at),
        _batch(records[middle:], second, batch.read_at),
    )


def _cut_advances(
    advances: Iterable[Advance], cut: _Place, last_before: _Place
) -> tuple[list[Advance], list[Advance]]:
    first, second = [], []
    for one in advances:
        partition = (one.topic, one.partition)
        if partition < cut[:2]:
            first.append(one)
        elif partition > cut[:2] or last_before[:2] != cut[:2]:
            second.append(one)
        else:
            first.append(one._replace(after=cut[2]))
            second.append(one._replace(before=cut[2]))
    return first, second


def _place(one: Arrival | Poison) -> _Place:
    return one.record.topic, one.record.partition, one.record.offset


def _batch(records: Iterable[Arrival | Poison], advances: list[Advance], read_at: int) -> Batch:
    arrivals, poison = [], []
    for one in records:
        if isinstance(one, Arrival):
            arrivals.append(one)
        else:
            poison.append(one)
    return Batch(arrivals, poison, advances, read_at)
