"""Joining the node's group 消费组: which topics, and what it means if they are missing."""

from __future__ import annotations

import re

from kafka import KafkaConsumer

from cases.nodes import NATIONAL
from cases.topics import consumed_topics
from consumers import positions
from consumers.assignment import Assignment
from node import kafka
from node.errors import Fatal
from node.postgres import Database
from node.settings import Settings


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
