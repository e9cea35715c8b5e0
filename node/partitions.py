"""Partitions 分区 of records by their key, as every Kafka client chooses them, only cheaper.

A case stays in one partition because all that ever wrote its events, other releases and other
clients too, put the same key there. kafka-python does it right and takes a tenth of the time that
sending a record costs: bytes put together one by one, and the same key hashed for each event.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

from kafka.partitioner import DefaultPartitioner

_SEED = 0x9747B28C
_MIX = 0x5BD1E995
_WORD = 0xFFFFFFFF
# Events of a case come together, out of a register as well as out of an outbox.
_KEYS_REMEMBERED = 8_192


class KeyPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """For a record with a key the same partition as the library's own."""

    def partition(
        self, topic: str, key: Any, serialized_key: bytes | None, *rest: Any
    ) -> int | None:
        """The number of the partition; the last argument is the cluster."""
        numbers = rest[-1].partitions_for_topic(topic)
        if serialized_key is None or not numbers:
            found: int | None = super().partition(topic, key, serialized_key, *rest)
            return found
        place: int = sorted(numbers)[(hashed(serialized_key) & 0x7FFFFFFF) % len(numbers)]
        return place


@lru_cache(_KEYS_REMEMBERED)
def hashed(key: bytes) -> int:
    """Murmur2 of a key, as the Java client computes it."""
    whole = len(key) & ~3
    value = _SEED ^ len(key)
    for part in struct.unpack_from(f"<{whole // 4}I", key):
        part = part * _MIX & _WORD
        part ^= part >> 24
        value = (value * _MIX & _WORD) ^ (part * _MIX & _WORD)
    if len(key) > whole:
        value = (value ^ int.from_bytes(key[whole:], "little")) * _MIX & _WORD
    value = (value ^ value >> 13) * _MIX & _WORD
    return value ^ value >> 15
