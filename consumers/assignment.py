"""The partitions that this consumer holds 分区分配, and where it stands in each.

The group gives partitions on the client's I/O thread, where nothing may block: there they are
only paused and marked. The loop then takes their positions from Postgres, seeks and resumes those
that can be read on; the others stay paused (`consumers.stopping`).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable

from kafka import ConsumerRebalanceListener, KafkaConsumer

from consumers import positions, stopping
from consumers.ranges import Ranges, ask
from consumers.stopping import Stopped
from node import kafka
from node.commit_waits import refuse_while_unconfirmed
from node.kafka import TopicPartition
from node.postgres import Connection, Cursor


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Which partitions are held; `changed` until the loop has settled them."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._changed = threading.Event()
        self.positions: dict[TopicPartition, int] = {}
        # Those of `positions` that are read on; what the client says of any other counts nothing.
        self.flowing: dict[TopicPartition, int] = {}
        # What is not read on, held or missing; all others are.
        self.stopped: dict[TopicPartition, Stopped] = {}
        # Stopped by what reading them gave: only another attempt tells whether they were mended.
        self._by_trial: dict[TopicPartition, Stopped] = {}
        self._on_trial: set[TopicPartition] = set()
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

    def stop(self, found: Iterable[Stopped]) -> None:
        """Read these no further until they are looked at again."""
        for one in found:
            self._by_trial[one.partition] = one
            self._on_trial.discard(one.partition)
        self._changed.set()

    def look_again(self) -> None:
        """See at the next `settle` which stopped partitions can be read on.

        One that was stopped by reading it is tried; it flows again when it has passed a whole
        interval between two looks.
        """
        for one in self._on_trial:
            self._by_trial.pop(one, None)
        self._on_trial = {*self._by_trial}
        kafka.refresh_metadata(self._consumer)  # a topic may have been made again
        self._changed.set()

    def settle(self, connection: Connection) -> None:
        """Take the positions from Postgres, seek and resume; a new partition begins at its start.

        Raises what the driver or client raises; then the partitions stay paused.
        """
        self._changed.clear()
        held = self._consumer.assignment()
        try:
            self.positions = self._known_positions(connection, held)
            paused = self.stopped.keys() - self._on_trial
            flowing = {one: at for one, at in self.positions.items() if one not in paused}
            self.flowing = flowing
            for partition, offset in flowing.items():
                self._consumer.seek(partition, offset)
            self._consumer.pause(*(held - flowing.keys()))
            self._consumer.resume(*flowing)
        except BaseException:
            self._changed.set()
            raise

    def _known_positions(
        self, connection: Connection, held: set[TopicPartition]
    ) -> dict[TopicPartition, int]:
        existing = kafka.known_topics(self._consumer)
        topics = {partition.topic for partition in held}
        ranges = ask(self._consumer, held, existing)
        with connection, connection.cursor() as cursor:
            refuse_while_unconfirmed(cursor)
            known = positions.load(cursor, topics)
            new = [one for one in ranges.first if tuple(one) not in known]
            if new:
                positions.begin(cursor, {tuple(one): ranges.first[one] for one in new})
                known = positions.load(cursor, topics)
            found = {one: known[tuple(one)] for one in held if tuple(one) in known}
            self._ids = kafka.topic_ids(self._consumer, topics)
            self._judge(cursor, held, found, ranges, existing)
        return found

    def _judge(
        self,
        cursor: Cursor,
        held: set[TopicPartition],
        found: dict[TopicPartition, int],
        ranges: Ranges,
        existing: set[str],
    ) -> None:
        """Find out which partitions cannot be read on, and keep it."""
        self._by_trial = {one: why for one, why in self._by_trial.items() if one in held}
        self._on_trial &= self._by_trial.keys()
        strange = {*positions.strangers(cursor, self._ids)}
        seen = [
            *stopping.absent(cursor, existing),
            *ranges.stopped,
            *stopping.out_of_place(found, strange, ranges.first, ranges.end),
            *self._by_trial.values(),
        ]
        self.stopped = {one.partition: one for one in reversed(seen)}
        stopping.keep(cursor, [*self.stopped.values()], held - self.stopped.keys())
