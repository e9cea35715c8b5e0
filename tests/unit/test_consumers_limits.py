"""Limits of dead-lettering: where the loop must stop, record by record, however it is cut up."""

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Batch, DecodedRecord, OffsetRange, Poison
from consumers.dead_letter_limits import (
    LEAST_RECORDS,
    DeadLetterHistory,
    DeadLetterLimits,
    ExceededLimit,
    PoisonTail,
    exceeded,
    poison_tails,
)

LIMITS = DeadLetterLimits(consecutive=3, ratio=0.5, window=1000)
CALM = DeadLetterLimits(consecutive=10**6, ratio=0.5, window=1000)
TOPIC = "petition.downlink.370000"


class FakeRecord(NamedTuple):
    topic: str
    partition: int
    offset: int


def batch(signs: str, first: int = 0, partition: int = 0) -> Batch:
    """Return one record for each sign: x is poison, anything else is good."""
    event: Any = None
    packed: Any = None
    decoded, poison = [], []
    for offset, sign in enumerate(signs, start=first):
        record: Any = FakeRecord(TOPIC, partition, offset)
        if sign == "x":
            poison.append(Poison(record, "malformed", ""))
        else:
            decoded.append(DecodedRecord(record, event, packed))
    return Batch(decoded, poison, [OffsetRange(TOPIC, partition, first, first + len(signs))])


def judged(
    limits: DeadLetterLimits, one: Batch, *histories: DeadLetterHistory
) -> ExceededLimit | None:
    return exceeded(limits, one, {(TOPIC, n): history for n, history in enumerate(histories)})


def offset_of(found: ExceededLimit | None) -> int | None:
    return found and found.poison.record.offset


NEW = DeadLetterHistory(0, 0, ())


def test_so_many_in_a_row_are_let_through_and_the_next_is_named() -> None:
    assert judged(LIMITS, batch("xxx"), NEW) is None
    found = judged(LIMITS, batch("..xxxx.xxxxx"), NEW)
    assert found is not None
    assert (offset_of(found), found.text.split(",")[0]) == (5, "dead letter 4 in a row")


def test_a_good_record_between_them_begins_the_count_again() -> None:
    assert judged(LIMITS, batch("xxx.xxx.xxx"), NEW) is None


def test_what_the_partition_had_before_counts() -> None:
    assert judged(LIMITS, batch("x", 10), DeadLetterHistory(2, 0, (8, 9))) is None
    assert offset_of(judged(LIMITS, batch("xx", 10), DeadLetterHistory(2, 0, (8, 9)))) == 11
    assert judged(LIMITS, batch(".xxx", 10), DeadLetterHistory(3, 0, (7, 8, 9))) is None


def test_partitions_are_counted_apart() -> None:
    two = [batch("xxx", partition=n) for n in (0, 1)]
    both = Batch([], [*two[0].poison, *two[1].poison], [*two[0].ranges, *two[1].ranges])
    assert judged(LIMITS, both, NEW, NEW) is None
    assert judged(LIMITS, both, NEW, DeadLetterHistory(1, 0, ())) is not None


def test_a_partition_of_somebody_else_is_left_to_him() -> None:
    assert judged(LIMITS, batch("xxxxx")) is None


def test_a_share_is_judged_only_of_enough_records() -> None:
    # The first 130 of 199 are poison, then one good, then the poison that makes it judged.
    few = "x" * 130 + "." * (LEAST_RECORDS - 131)
    assert judged(CALM, batch(few), NEW) is None
    assert offset_of(judged(CALM, batch(few + "x"), NEW)) == LEAST_RECORDS - 1


def test_a_share_is_of_the_last_records_only() -> None:
    # 400 of the last 1000, behind 600 of the 1000 before those.
    behind = DeadLetterHistory(0, 0, tuple(range(600)))
    assert judged(CALM, batch("." * 1000 + "x" * 400, 600), behind) is None
    assert offset_of(judged(CALM, batch("." * 400 + "x" * 600, 600), behind)) == 1000


def test_just_the_share_is_let_through_and_one_more_is_not() -> None:
    assert judged(CALM, batch(".x" * 500), NEW) is None
    assert offset_of(judged(CALM, batch(".x" * 500 + "x"), NEW)) == 1000


def test_a_share_of_one_is_never_exceeded() -> None:
    assert judged(CALM._replace(ratio=1.0), batch("x" * 5000), NEW) is None


def test_what_somebody_dealt_with_is_not_judged_again() -> None:
    all_bad = tuple(range(1000))
    assert judged(CALM, batch("x", 1000), DeadLetterHistory(0, 0, all_bad)) is not None
    assert judged(CALM, batch("x", 1000), DeadLetterHistory(0, 1000, all_bad)) is None


def test_how_a_batch_leaves_its_partitions() -> None:
    assert poison_tails(batch("....")) == [PoisonTail(0, unbroken=False)]
    assert poison_tails(batch("x.xx")) == [PoisonTail(2, unbroken=False)]
    assert poison_tails(batch("xxxx")) == [PoisonTail(4, unbroken=True)]
    bad, good = batch("x", partition=1), batch(".", partition=0)
    both = Batch(good.records, bad.poison, [*bad.ranges, *good.ranges])
    assert poison_tails(both) == [PoisonTail(1, unbroken=True), PoisonTail(0, unbroken=False)]


@given(st.text("x.", min_size=1, max_size=600), st.data())
def test_it_stops_at_the_same_record_however_the_records_are_cut_into_batches(
    signs: str, data: st.DataObject
) -> None:
    """The loop, with the table and the column that it keeps, against the whole in one go."""
    limits = DeadLetterLimits(consecutive=data.draw(st.integers(1, 20)), ratio=0.4, window=220)
    whole = offset_of(judged(limits, batch(signs), NEW))
    position, held = 0, 0
    dead: list[Any] = []
    stopped: int | None = None
    while position < len(signs) and stopped is None:
        size = data.draw(st.integers(1, len(signs) - position))
        part = batch(signs[position : position + size], position)
        behind = [offset for offset in dead if offset >= position - limits.window]
        stopped = offset_of(judged(limits, part, DeadLetterHistory(held, 0, behind)))
        dead += [one.record.offset for one in part.poison]
        (tail,) = poison_tails(part)
        held = tail.poison + (held if tail.unbroken else 0)
        position += size
    assert stopped == whole
