"""Dead letters 死信 are records that could not be applied: their original bytes and the reason.

They are first written to the node's dead-letter topic and acknowledged there, then to the table, in
the transaction that moves the offset. If the topic cannot be written, the offset stays.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence

import orjson
from kafka import KafkaProducer
from psycopg2.extras import execute_values

from consumers.batch import Poison
from node.kafka import clients
from node.kafka.topic_names import dead_letter
from node.postgres.connection import Cursor
from node.runtime.errors import Fatal
from node.runtime.settings import Settings
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS

_ACKNOWLEDGE_SECONDS = 30
# The topic takes 2 MiB with key and headers. Only a record of a packed batch can be larger.
_MOST_VALUE_BYTES = 1_900_000
# A record that is read twice is one letter: they are unique by place, key and value.
_KEEP = """
    insert into dead_letter
        (topic, partition, "offset", record_key, value, headers, recorded_at, reason, detail)
    values %s on conflict do nothing
"""
_KEEP_ROW = "(%s, %s, %s, %s, %s, %s::json, to_timestamp(%s / 1000.0), %s, %s)"
# A sender may write any timestamp; the stored one is clamped to be valid in every time zone.
_DAY_MILLIS = 86_400_000
_FIRST_MILLIS = MIN_INSTANT_MICROS // 1000 + _DAY_MILLIS
_LAST_MILLIS = MAX_INSTANT_MICROS // 1000 - _DAY_MILLIS


def keep(cursor: Cursor, poison: Sequence[Poison]) -> None:
    """Write dead letters to the table; one that is there already stays as it is."""
    if poison:
        execute_values(cursor, _KEEP, [*map(_row, poison)], _KEEP_ROW)


def _row(poison: Poison) -> tuple[object, ...]:
    record, reason, detail = poison
    return (
        *(record.topic, record.partition, record.offset, record.key, record.value),
        _headers_json(record.headers or ()),
        *(min(max(record.timestamp, _FIRST_MILLIS), _LAST_MILLIS), reason, detail),
    )


def _headers_json(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Return [[name, base64 or null], …]: a header of poison may have no value."""
    return orjson.dumps(
        [[name, value if value is None else b64encode(value).decode()] for name, value in headers]
    ).decode()


class DeadLetterTopic:
    """The node's topic of dead letters; its producer is opened by the first letter."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = dead_letter(settings.node)
        self._producer: KafkaProducer | None = None

    def publish(self, poison: Sequence[Poison]) -> None:
        """Send and wait for the acknowledgement; raises a Kafka error or `Fatal` if it fails."""
        try:
            producer = self._producer or self._opened()
            futures = [
                producer.send(
                    self._topic, _value(letter), letter.record.key or b"", _headers(letter)
                )
                for letter in poison
            ]
            for future in futures:
                future.get(timeout=_ACKNOWLEDGE_SECONDS)
        except BaseException:
            self.close()  # the next attempt checks again whether the topic exists
            raise

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=1)
            self._producer = None

    def _opened(self) -> KafkaProducer:
        if self._topic not in clients.existing_topics(self._settings):
            raise Fatal(f"topic {self._topic} is missing: run `petitionlink topics apply`")
        self._producer = clients.producer(self._settings, "dead-letters")
        return self._producer


def _value(poison: Poison) -> bytes | None:
    """Return the original bytes; None if they exceed the topic's limit: the table has them."""
    value: bytes | None = poison.record.value
    if value is None or len(value) > _MOST_VALUE_BYTES:
        return None
    return bytes(value)  # the client takes no subclass, such as a batch that is kept whole


def _headers(poison: Poison) -> list[tuple[str, bytes]]:
    record, reason, _ = poison
    return [
        *((name, value or b"") for name, value in record.headers or ()),  # our client sends no null
        ("petitionlink-reason", reason.encode()),
        ("petitionlink-topic", record.topic.encode()),
        ("petitionlink-partition", str(record.partition).encode()),
        ("petitionlink-offset", str(record.offset).encode()),
        ("petitionlink-value-bytes", str(len(record.value or b"")).encode()),
    ]
