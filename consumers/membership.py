"""Joining the node's group 消费组: which topics, and what it means if they are missing."""

from __future__ import annotations

import re

from kafka import KafkaConsumer

from cases.nodes import NATIONAL
from cases.topics import consumed_topics
from consumers.assignment import Assignment
from node import kafka
from node.errors import Fatal
from node.settings import Settings


def join(client: KafkaConsumer, settings: Settings, assignment: Assignment) -> None:
    """Subscribe `client` to the node's topics.

    Raises a Kafka error while the cluster is away, and `Fatal` if it has none of the topics:
    that is a mistake that waiting would hide.
    """
    wanted = consumed_topics(settings.node)
    if not kafka.existing_topics(settings).intersection(wanted):
        raise Fatal(f"topic {wanted[0]} is missing: run `petitionlink topics apply`")
    if settings.node == NATIONAL:
        # By pattern: a province that is connected later is read without a restart.
        pattern = "^(" + "|".join(map(re.escape, wanted)) + ")$"
        client.subscribe(pattern=pattern, listener=assignment)
    else:
        client.subscribe(topics=wanted, listener=assignment)
