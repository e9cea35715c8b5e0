"""The partitions that this consumer holds 分区分配, and where it stands in each.

The group gives partitions on the client's I/O thread, where nothing may block: there they are
only paused and marked. The loop then takes their positions from Postgres, seeks and resumes.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable

from kafka import ConsumerRebalanceListener, KafkaConsumer

from consumers import positions
from node import kafka
from node.commit_waits import refuse_while_unconfirmed
from node.errors import Fatal
from node.kafka import TopicPartition
from node.postgres import Connection


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Which partitions are held; `changed` until the loop has settled them."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._changed = threading.Event()
        self.positions: dict[TopicPartition, int] = {}
        self._ids: dict[str, uuid.UUID | None] = {}
        self.rebalances = 0

    @property
    def changed(self) -> bool:
        """Whether partitions came or went, or a topic was made anew, since the last `settle`."""
        return self._changed.is_set() or self._ids != kafka.topic_ids(self._consumer, self._ids)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called on the I/O thread; what was polled from these is dropped by the loop."""
        self._changed.set()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called on the I/O thread: hold still until the positions are known."""
        held = [*assigned]
        self._consumer.pause(*held)
        for partition in held:
            # Any position keeps the client from asking Kafka for a committed one.
            self._consumer.seek(partition, 0)
        self.rebalances += 1
        self._changed.set()

    def unsettle(self) -> None:
        """Positions were moved by someone else: take them from Postgres again."""
        self._changed.set()

    def settle(self, connection: Connection) -> None:
        """Take the positions from Postgres, seek and resume; a new partition begins at its start.

        Raises what the driver or client raises; then the partitions stay paused.
        """
        self._changed.clear()
        held = self._consumer.assignment()
        try:
            self.positions = self._known_positions(connection, held)
            for partition, offset in self.positions.items():
                self._consumer.seek(partition, offset)
            self._consumer.resume(*held)
        except BaseException:
            self._changed.set()
            raise

    def _known_positions(
        self, connection: Connection, held: set[TopicPartition]
    ) -> dict[TopicPartition, int]:
        topics = {partition.topic for partition in held}
        with connection, connection.cursor() as cursor:
            refuse_while_unconfirmed(cursor)
            known = positions.load(cursor, topics)
            new = [partition for partition in held if tuple(partition) not in known]
            if new:
                first = self._consumer.beginning_offsets(new)
                positions.begin(cursor, {tuple(one): offset for one, offset in first.items()})
                known = positions.load(cursor, topics)
            self._ids = kafka.topic_ids(self._consumer, topics)
            strange = positions.strangers(cursor, self._ids)
            if strange:
                raise Fatal(
                    f"topic {strange[0]} was deleted and made anew: what this node had not applied "
                    "of it is gone: run `petitionlink recover`; the source sends it again"
                )
        return {partition: known[tuple(partition)] for partition in held}
