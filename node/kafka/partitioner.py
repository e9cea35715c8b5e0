"""The partition 分区 of a record by its key, as every Kafka client chooses it.

A case stays in one partition because all that ever wrote its events, other releases and other
clients too, put the same key there. kafka-python hashes the key again for each event, in Python,
which is a tenth of the time that sending a record costs; here hashes are cached.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kafka.partitioner import DefaultPartitioner
from kafka.partitioner.default import murmur2

# Events of a case come together, out of a register as well as out of an outbox.
_KEYS_CACHED = 8_192

hash_of_key = lru_cache(_KEYS_CACHED)(murmur2)


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
        place: int = sorted(numbers)[(hash_of_key(serialized_key) & 0x7FFFFFFF) % len(numbers)]
        return place
