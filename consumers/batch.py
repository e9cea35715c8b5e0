"""A batch 批次: what one poll gave, decoded, with the offsets it moves from and to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from kafka.consumer.fetcher import ConsumerRecord

from cases.nodes import NODES
from cases.topics import uplink
from node.ledger import Entry, Packed, Source, body_json, pack
from node.precompute import Precomputed
from node.record_format import PackedBatch
from node.unpacking import MAX_BATCH_BYTES
from schemas.errors import INVALID_TEXT, TOO_LARGE, WRONG_EMITTER, Undecodable
from schemas.event import Event
from schemas.headers import read_event

# Each takes about 17 kB, in the batch that is made and in that which is applied.
MOST_CASES: Final = 1_000


class Arrival(NamedTuple):
    """A record, the event in it, and that event ready for the ledger."""

    record: ConsumerRecord
    event: Event
    packed: Packed


class Poison(NamedTuple):
    """A record 毒消息 that will never be an event, and why."""

    record: ConsumerRecord
    reason: str
    detail: str

    def __str__(self) -> str:
        """One line without payload."""
        record = self.record
        place = f"{record.topic} partition {record.partition} offset {record.offset}"
        return f"{place}: {self.reason}: {self.detail}"


class Advance(NamedTuple):
    """A partition and the offsets that its records move it from and to."""

    topic: str
    partition: int
    before: int
    after: int


class Batch(NamedTuple):
    """Records of one or more partitions, to be applied in one transaction.

    `read_at` (micros) is when all of them crossed to this node. `precomputed` is what
    these arrivals make of their cases, if those are still as they were read.
    """

    arrivals: Sequence[Arrival]
    poison: Sequence[Poison]
    advances: Sequence[Advance]
    read_at: int = 0
    precomputed: Precomputed | None = None

    def __len__(self) -> int:
        return len(self.arrivals) + len(self.poison)

    def with_precomputed(self, precomputed: Precomputed | None) -> Batch:
        """Return the same batch with what it makes of its cases."""
        return Batch(self.arrivals, self.poison, self.advances, self.read_at, precomputed)


def comes_from_nobody(_emitter: str) -> bool:
    """The rule outside a recovery: no event of another than the sender is taken."""
    return False


class Here(NamedTuple):
    """Who reads, and when (micros)."""

    node: str
    now: int


def decoded(
    records: Iterable[ConsumerRecord],
    advances: Sequence[Advance],
    here: Here,
    may_come_home: Callable[[str], bool] = comes_from_nobody,
) -> Batch:
    """Decode each record on its own: a bad one never takes its neighbours along.

    All that needs no database is done here. `may_come_home` is asked of an emitter that is not the
    sender of the topic: the centre's own events come back on uplinks while it is recovering.
    """
    arrivals: list[Arrival] = []
    poison: list[Poison] = []
    for record in records:
        try:
            event = read_event(record.key, _value(record), record.headers)
            _check_sender(record.topic, event, may_come_home)
            body = _storable(event)
        except Undecodable as error:
            poison.append(Poison(record, error.reason, error.detail))
        else:
            arrivals.append(Arrival(record, event, _packed(record, event, body, here)))
    return Batch(arrivals, poison, advances, here.now)


def _value(record: ConsumerRecord) -> bytes | None:
    """The value of a record; raises Undecodable for a batch that would unpack to too much."""
    value: bytes | None = record.value
    if isinstance(value, PackedBatch):
        raise Undecodable(
            TOO_LARGE, f"a compressed batch that unpacks to more than {MAX_BATCH_BYTES} bytes"
        )
    return value


def next_size(most: int, batch: Batch) -> int:
    """How many records the next batch may have, `most` or fewer: if it is like this one, it has no
    more than MOST_CASES different cases."""
    cases = len({event.case_id for _, event, _ in batch.arrivals})
    return min(most, max(1, MOST_CASES * len(batch.arrivals) // cases)) if cases else most


def advances_of(before: Mapping[Any, int], after: Mapping[Any, int]) -> list[Advance]:
    """The moves of those partitions that stand further in `after` than in `before`.

    They also pass what gives no records: transaction markers, aborted records and gaps.
    """
    return [
        Advance(partition.topic, partition.partition, offset, after[partition])
        for partition, offset in before.items()
        if after.get(partition, offset) > offset
    ]


def _packed(record: ConsumerRecord, event: Event, body: bytes, here: Here) -> Packed:
    """An own event that came home 回归 was never exchanged: it stands there as it did before."""
    exchanged_at = None if event.emitter == here.node else here.now
    source = Source(record.topic, record.partition, record.offset, exchanged_at)
    return pack(Entry(event, body, source))


_EMITTER_OF = {uplink(code): code for code in NODES}


def _check_sender(topic: str, event: Event, may_come_home: Callable[[str], bool]) -> None:
    """A province writes only its own events on its uplink; the centre passes on anyone's."""
    expected = _EMITTER_OF.get(topic)
    if expected not in (None, event.emitter) and not may_come_home(event.emitter):
        raise Undecodable(WRONG_EMITTER, f"an event of {event.emitter} on the uplink of {expected}")


def _storable(event: Event) -> bytes:
    """The body as JSON; NUL decodes well and is then refused by Postgres."""
    body = body_json(event.body)
    if b"\\u0000" in body and _has_nul(event.body):
        raise Undecodable(INVALID_TEXT, "NUL in a text of the body")
    return body


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_has_nul, value.values()))
    return isinstance(value, list) and any(map(_has_nul, value))
