"""Joining the node's group 消费组: which topics, and what it means if they are missing."""

from __future__ import annotations

import logging
import re
import secrets
from pathlib import Path

from kafka import KafkaConsumer

from cases.nodes import NATIONAL
from cases.topics import consumed_topics
from consumers import positions
from consumers.assignment import Assignment
from node import kafka
from node.errors import Fatal
from node.postgres import Database
from node.settings import Settings

log = logging.getLogger(__name__)

# Of the running kernel: two machines never share it, however alike their disks are.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LONGEST_HOST = 100
_SUFFIX = re.compile(r"\.[0-9a-f]{8}$")


def instance_of(node: str, host: str, port: int) -> str:
    """The name of a consumer in its group: the same when it is started again, nobody else's.

    Only one process of a machine can hold its metrics port, and it does before it consumes. Cloned
    machines have one host name and port and still differ by the boot of their kernels.
    """
    try:
        boot = _BOOT_ID.read_text().strip()[:8]
    except OSError:  # another kernel: then no start is recognised by the group
        boot = secrets.token_hex(4)
    return f"{node}-{_plain(host)}-{port}-{boot}"


def renamed(instance: str | None) -> str:
    """Another name for a consumer whose own a second living process has taken; says so."""
    base = _SUFFIX.sub("", instance or "")
    log.error(
        "another living process consumes as %s, so it has our node, host name and metrics port: is "
        "this machine a clone of another, or a container beside it? Give each a host name or a "
        "PETITIONLINK_METRICS_PORT of its own. Until then both share the partitions, this one "
        "under another name",
        base,
    )
    return f"{base}.{secrets.token_hex(4)}"


def _plain(host: str) -> str:
    """A host name without what Kafka allows in no name of a member."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", host)[:_LONGEST_HOST]


def join(
    client: KafkaConsumer, settings: Settings, assignment: Assignment, database: Database
) -> None:
    """Subscribe `client` to the node's topics.

    Raises a Kafka error while the cluster is away, and `Fatal` if it has none of the topics and
    this node has never read one: that is a mistake that waiting would hide. Topics that were read
    before and are gone now are stopped partitions, and the rest of the node goes on.
    """
    wanted = consumed_topics(settings.node)
    missing = not kafka.existing_topics(settings).intersection(wanted)
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
        return bool(positions.load(cursor, topics))
