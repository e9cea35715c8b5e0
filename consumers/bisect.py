"""Bisection 隔离: find the one record that Postgres refuses.

Decoding finds records that are wrong by themselves. A record that only the database refuses is
found by halving the batch: each half is applied in its own transaction, until it is alone.
"""

from collections.abc import Callable, Iterable

from consumers.batch import Batch, DecodedRecord, OffsetRange, Poison
from node.runtime.errors import is_data_error
from schemas.errors import REFUSED_BY_DATABASE

_Record = DecodedRecord | Poison
_Place = tuple[str, int, int]


def apply_bisecting(batch: Batch, apply: Callable[[Batch], None]) -> None:
    """Call `apply` with `batch`; where Postgres refuses a value, dead-letter that record only.

    `apply` is called once for a good batch, about 2·log2(n) times more for each bad record, always
    in the order of the offsets. Raises whatever `apply` raises that is not about a record's value.
    """
    pending = [batch]
    while pending:
        part = pending.pop()
        try:
            apply(part)
        except Exception as error:
            if not is_data_error(error) or not part.records:
                raise
            if len(part) == 1:
                pending.append(_as_dead_letter(part, error))
            else:
                pending.extend(reversed(_halves(part)))


def _as_dead_letter(batch: Batch, error: Exception) -> Batch:
    (decoded,) = batch.records
    code = getattr(error, "pgcode", "") or ""
    poison = Poison(decoded.record, REFUSED_BY_DATABASE, f"Postgres refuses its value ({code})")
    return Batch([], [poison], batch.ranges, batch.read_at)


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    """Cut the batch in two before a record; each half moves its own part of the offsets."""
    records: list[_Record] = sorted([*batch.records, *batch.poison], key=_place)
    middle = len(records) // 2
    cut = _place(records[middle])
    first, second = _cut_ranges(batch.ranges, cut, _place(records[middle - 1]))
    return (
        _batch(records[:middle], first, batch.read_at),
        _batch(records[middle:], second, batch.read_at),
    )


def _cut_ranges(
    ranges: Iterable[OffsetRange], cut: _Place, last_before: _Place
) -> tuple[list[OffsetRange], list[OffsetRange]]:
    first, second = [], []
    for offset_range in ranges:
        partition = (offset_range.topic, offset_range.partition)
        if partition < cut[:2]:
            first.append(offset_range)
        elif partition > cut[:2] or last_before[:2] != cut[:2]:
            second.append(offset_range)
        else:
            first.append(offset_range._replace(after=cut[2]))
            second.append(offset_range._replace(before=cut[2]))
    return first, second


def _place(record: _Record) -> _Place:
    return record.record.topic, record.record.partition, record.record.offset


def _batch(records: Iterable[_Record], ranges: list[OffsetRange], read_at: int) -> Batch:
    decoded, poison = [], []
    for record in records:
        if isinstance(record, Poison):
            poison.append(record)
        else:
            decoded.append(record)
    return Batch(decoded, poison, ranges, read_at)
