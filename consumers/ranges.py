"""The ranges 范围 of partitions: first and next offset of each, as far as Kafka tells them.

Asked for one partition that nobody leads, or of a topic that may not be read, the client fails for
all. Those are left out, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kafka import KafkaConsumer
from kafka.errors import TopicAuthorizationFailedError

from consumers.stopping import GONE, MISSING, NO_LEADER, NOT_AUTHORIZED, Stopped
from node import kafka
from node.kafka import TopicPartition

_ANSWER_MS = 5_000


class Ranges(NamedTuple):
    """First and next offset of each partition that tells them; the others are `stopped`."""

    first: dict[TopicPartition, int]
    end: dict[TopicPartition, int]
    stopped: list[Stopped]


def ask(client: KafkaConsumer, held: Iterable[TopicPartition], existing: set[str]) -> Ranges:
    """The ranges of the partitions `held`; raises a Kafka error while the cluster is away."""
    stopped: list[Stopped] = []
    asked: list[TopicPartition] = []
    for one in sorted(held):
        if one.topic not in existing:
            stopped.append(Stopped(one, MISSING, GONE))
        elif kafka.is_leaderless(client, one):
            stopped.append(Stopped(one, NO_LEADER, "no broker leads it"))
        else:
            asked.append(one)
    return _ask(client, asked, stopped)


def _ask(client: KafkaConsumer, asked: list[TopicPartition], stopped: list[Stopped]) -> Ranges:
    if not asked:
        return Ranges({}, {}, stopped)
    try:
        first = client.beginning_offsets(asked, timeout_ms=_ANSWER_MS)
        return Ranges(first, client.end_offsets(asked, timeout_ms=_ANSWER_MS), stopped)
    except TopicAuthorizationFailedError as error:
        refused = not_authorized(asked, error)
        left = {*asked} - {one.partition for one in refused}
        return _ask(client, sorted(left), stopped + refused)


def not_authorized(
    held: Iterable[TopicPartition], error: TopicAuthorizationFailedError
) -> list[Stopped]:
    """The partitions of the topics that `error` names; raises it if they are none of `held`."""
    topics = {*error.args[0]} if error.args and not isinstance(error.args[0], str) else set()
    found = [
        Stopped(one, NOT_AUTHORIZED, "Kafka does not let this node read it")
        for one in held
        if one.topic in topics
    ]
    if not found:
        raise error
    return found
