"""Decode 解码 records from Kafka into events that are ready for the ledger, or into poison."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from kafka.consumer.fetcher import ConsumerRecord

from cases.nodes import NODES
from consumers.batch import Batch, DecodedRecord, OffsetRange, Poison
from node.kafka.decompression import MAX_BATCH_BYTES
from node.kafka.record_reader import PackedBatch
from node.kafka.topic_names import uplink
from node.store.events import Entry, Packed, RecordSource, body_json, pack
from schemas.errors import INVALID_TEXT, TOO_LARGE, WRONG_EMITTER, Undecodable
from schemas.event import Event
from schemas.wire import read_event

_EMITTER_OF = {uplink(code): code for code in NODES}


class ReadContext(NamedTuple):
    """The node that reads and the time (micros) at which it reads.

    `accepts_own_events` is asked about an own event 回归 on the topic of another node: such events
    are accepted while the node recovers.
    """

    node: str
    now: int
    accepts_own_events: Callable[[], bool]


def decode_batch(
    records: Iterable[ConsumerRecord], ranges: Sequence[OffsetRange], context: ReadContext
) -> Batch:
    """Decode each record by itself, without a database: a bad one leaves its neighbours alone."""
    decoded: list[DecodedRecord] = []
    poison: list[Poison] = []
    for record in records:
        try:
            event = read_event(record.key, _value(record), record.headers)
            _check_sender(record.topic, event, context)
            body = _storable(event)
        except Undecodable as error:
            poison.append(Poison(record, error.reason, error.detail))
        else:
            decoded.append(DecodedRecord(record, event, _packed(record, event, body, context)))
    return Batch(decoded, poison, ranges, context.now)


def _value(record: ConsumerRecord) -> bytes | None:
    """Return the value; raises `Undecodable` for a batch that would unpack to too many bytes."""
    value: bytes | None = record.value
    if isinstance(value, PackedBatch):
        raise Undecodable(
            TOO_LARGE, f"a compressed batch that unpacks to more than {MAX_BATCH_BYTES} bytes"
        )
    return value


def _check_sender(topic: str, event: Event, context: ReadContext) -> None:
    """Raise `Undecodable` for an event of another node on a province's uplink."""
    expected = _EMITTER_OF.get(topic)
    if expected in (None, event.emitter):
        return
    if event.emitter != context.node or not context.accepts_own_events():
        raise Undecodable(WRONG_EMITTER, f"an event of {event.emitter} on the uplink of {expected}")


def _storable(event: Event) -> bytes:
    """Return the body as JSON; raises `Undecodable` for NUL, which only Postgres refuses."""
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


def _packed(record: ConsumerRecord, event: Event, body: bytes, context: ReadContext) -> Packed:
    """Pack the event for the ledger; an own event that came back counts as never exchanged."""
    exchanged_at = None if event.emitter == context.node else context.now
    source = RecordSource(record.topic, record.partition, record.offset, exchanged_at)
    return pack(Entry(event, body, source))
