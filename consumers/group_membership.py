"""Join the node's consumer group 消费组 and manage the partitions that it assigns.

The group assigns partitions on the client's I/O thread, where nothing may block: there they are
only paused and marked. The session then takes their offsets from Postgres, seeks and resumes those
that can be read on; the others stay paused (`consumers.stopped_partitions`).
"""

import logging
import re
import secrets
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path

from kafka import ConsumerRebalanceListener, KafkaConsumer

from cases.nodes import NATIONAL
from consumers import offsets, stopped_partitions
from consumers.batch import OffsetRange
from consumers.stopped_partitions import HeldBounds, Stopped, ask_bounds
from node.kafka import clients, library_patches
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import consumed_topics
from node.postgres.connection import Connection, Cursor, Database
from node.postgres.synchronous_standby import refuse_while_unconfirmed
from node.runtime.errors import Fatal
from node.runtime.settings import Settings

log = logging.getLogger(__name__)

# The id of the running kernel: two machines never share it, even with copies of one disk.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LONGEST_HOST = 100
_SUFFIX = re.compile(r"\.[0-9a-f]{8}$")


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """The partitions that this consumer holds; `changed` until the loop has called `settle`."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._changed = threading.Event()
        # The next offset of each partition held: everything before it is applied.
        self.positions: dict[TopicPartition, int] = {}
        # The part of `positions` that is read on; the client's offsets of others mean nothing.
        self.flowing: dict[TopicPartition, int] = {}
        # Every partition, held or missing, that is not read on.
        self.stopped: dict[TopicPartition, Stopped] = {}
        # Stopped while they were read: only another try shows whether they were repaired.
        self._by_trial: dict[TopicPartition, Stopped] = {}
        self._on_trial: set[TopicPartition] = set()
        self._ids: dict[str, uuid.UUID | None] = {}
        self.rebalances = 0

    @property
    def changed(self) -> bool:
        """Return whether partitions came or went, or a topic was created again, since `settle`."""
        return self._changed.is_set() or self._ids != library_patches.topic_ids(
            self._consumer, self._ids
        )

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the session drop what was polled from these; called on the I/O thread."""
        self._changed.set()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pause these partitions until their offsets are known; called on the I/O thread."""
        held = [*assigned]
        self._consumer.pause(*held)
        for partition in held:
            # Any offset keeps the client from asking Kafka for a committed one.
            self._consumer.seek(partition, 0)
        self.rebalances += 1
        self._changed.set()

    def unsettle(self) -> None:
        """Let the next `settle` take the offsets, which another process moved, from Postgres."""
        self._changed.set()

    def advance(self, ranges: Iterable[OffsetRange]) -> None:
        """Note that these ranges are applied and committed."""
        for applied in ranges:
            self.positions[applied.topic_partition] = applied.after

    def stop(self, stopped: Iterable[Stopped]) -> None:
        """Do not read these partitions any further until they are checked again."""
        for reason in stopped:
            self._by_trial[reason.partition] = reason
            self._on_trial.discard(reason.partition)
        self._changed.set()

    def recheck_stopped(self) -> None:
        """Let the next `settle` check which stopped partitions can be read on.

        A partition that was stopped while it was read is tried; it counts as repaired when it has
        been read for a whole interval between two checks.
        """
        for partition in self._on_trial:
            self._by_trial.pop(partition, None)
        self._on_trial = {*self._by_trial}
        library_patches.refresh_metadata(self._consumer)  # a topic may have been created again
        self._changed.set()

    def settle(self, connection: Connection) -> None:
        """Take the offsets from Postgres, seek and resume; a new partition begins at its start.

        Raises what the driver or client raises; then the partitions stay paused.
        """
        self._changed.clear()
        held = self._consumer.assignment()
        try:
            self.positions = self._stored_positions(connection, held)
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

    def _stored_positions(
        self, connection: Connection, held: set[TopicPartition]
    ) -> dict[TopicPartition, int]:
        existing = library_patches.known_topics(self._consumer)
        topics = {partition.topic for partition in held}
        bounds = ask_bounds(self._consumer, held, existing)
        with connection, connection.cursor() as cursor:
            refuse_while_unconfirmed(cursor)
            known = offsets.load(cursor, topics)
            new = {tuple(one): first for one, first in bounds.first.items() if one not in known}
            if new:
                offsets.begin(cursor, new)
                known = offsets.load(cursor, topics)
            positions = {one: known[one] for one in held if one in known}
            self._ids = library_patches.topic_ids(self._consumer, topics)
            self._store_stopped(cursor, held, positions, bounds, existing)
        return positions

    def _store_stopped(
        self,
        cursor: Cursor,
        held: set[TopicPartition],
        positions: dict[TopicPartition, int],
        bounds: HeldBounds,
        existing: set[str],
    ) -> None:
        """Find the partitions that cannot be read on, and store them."""
        self._by_trial = {one: why for one, why in self._by_trial.items() if one in held}
        self._on_trial &= self._by_trial.keys()
        recreated = {*offsets.recreated_topics(cursor, self._ids)}
        reasons = [
            *stopped_partitions.absent(cursor, existing),
            *bounds.stopped,
            *stopped_partitions.out_of_place(positions, recreated, bounds.first, bounds.end),
            *self._by_trial.values(),
        ]
        self.stopped = {reason.partition: reason for reason in reversed(reasons)}
        stopped_partitions.keep(cursor, [*self.stopped.values()], held - self.stopped.keys())


def join(
    client: KafkaConsumer, settings: Settings, assignment: Assignment, database: Database
) -> None:
    """Subscribe `client` to the node's topics.

    Raises a Kafka error while the cluster is away, and `Fatal` if it has none of the topics and
    this node has never read one: waiting would hide that mistake. Topics that were read before and
    are gone now are stopped partitions.
    """
    wanted = consumed_topics(settings.node)
    missing = not clients.existing_topics(settings).intersection(wanted)
    if missing and not _has_read(database, wanted):
        raise Fatal(f"topic {wanted[0]} is missing: run `petitionlink topics apply`")
    if settings.node == NATIONAL:
        # By pattern: a province that is connected later is read without a restart.
        pattern = "^(" + "|".join(map(re.escape, wanted)) + ")$"
        client.subscribe(pattern=pattern, listener=assignment)
    else:
        client.subscribe(topics=wanted, listener=assignment)


def _has_read(database: Database, topics: list[str]) -> bool:
    connection = database.connection()
    with connection, connection.cursor() as cursor:
        return bool(offsets.load(cursor, topics))


def instance_of(node: str, host: str, port: int, boot_id: Path = _BOOT_ID) -> str:
    """Return a consumer's name in its group: the same after a restart, and no other process's.

    A process holds its metrics port before it consumes, and no other on the machine can. Cloned
    machines share host name and port but differ by the boot of their kernels.
    """
    try:
        boot = boot_id.read_text().strip()[:8]
    except OSError:  # another kernel: then no start is recognised by the group
        boot = secrets.token_hex(4)
    plain_host = re.sub(r"[^A-Za-z0-9._-]", "_", host)[:_LONGEST_HOST]  # what Kafka allows
    return f"{node}-{plain_host}-{port}-{boot}"


def renamed(instance: str | None) -> str:
    """Return another name for a consumer whose name a second living process has; log a warning."""
    base = _SUFFIX.sub("", instance or "")
    log.error(
        "another living process consumes as %s, so it has our node, host name and metrics port: is "
        "this machine a clone of another, or a container beside it? Give each a host name or a "
        "PETITIONLINK_METRICS_PORT of its own. Until then both share the partitions, this one "
        "under another name",
        base,
    )
    return f"{base}.{secrets.token_hex(4)}"
