"""What stands between the cluster and its declared topics: one line per topic, nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from cases.nodes import NODES
from node.kafka.topics.declared import Topic, declared_topics

_OURS = "petition."


class Action(StrEnum):
    """What stands between a topic and its declaration."""

    CREATE = "create"
    UNCHANGED = "unchanged"
    DIFFERS = "differs"
    UNDECLARED = "undeclared"


class Difference(NamedTuple):
    """One setting that is not as declared; `refusal` says why `apply` leaves it, if it does."""

    setting: str
    declared: str
    actual: str
    refusal: str = ""


class Change(NamedTuple):
    """One line of a plan."""

    topic: str
    action: Action
    differences: tuple[Difference, ...] = ()

    @property
    def refused(self) -> tuple[Difference, ...]:
        """What `apply` cannot or will not change."""
        return tuple(each for each in self.differences if each.refusal)


def plan(client: KafkaAdminClient, topics: Sequence[Topic]) -> list[Change]:
    """Compare the cluster with the declaration, by name; changes nothing.

    A topic under our prefix that no node has by rule is listed as undeclared.
    """
    existing = set(client.list_topics())
    present = [topic for topic in topics if topic.name in existing]
    shapes, settings = _shapes(client, present), _settings(client, present)
    changes = [
        _compared(topic, shapes[topic.name], settings[topic.name])
        if topic.name in existing
        else Change(topic.name, Action.CREATE)
        for topic in topics
    ]
    return sorted(changes + _undeclared(existing))


def _shapes(client: KafkaAdminClient, topics: Sequence[Topic]) -> dict[str, tuple[int, int]]:
    """Partitions and replication factor by topic; a topic being reassigned has its larger one."""
    if not topics:
        return {}
    shapes = {}
    for found in client.describe_topics([topic.name for topic in topics]):
        replicas = [len(partition["replica_nodes"]) for partition in found["partitions"]]
        shapes[found["name"]] = (len(replicas), max(replicas, default=0))
    return shapes


def _settings(client: KafkaAdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, Any]]:
    """The settings in force by topic, the broker's defaults included."""
    if not topics:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    described: dict[str, dict[str, Any]] = client.describe_configs(resources, config_filter="all")[
        "topic"
    ]
    return described


def _compared(topic: Topic, shape: tuple[int, int], settings: dict[str, Any]) -> Change:
    partitions, replication = shape
    differences = [_partitions(topic, partitions), _replication(topic, replication)]
    for name, value in topic.settings.items():
        actual = settings.get(name, {}).get("value", "unknown to the broker")
        differences.append(Difference(name, value, str(actual)))
    differing = tuple(each for each in differences if each.declared != each.actual)
    return Change(topic.name, Action.DIFFERS if differing else Action.UNCHANGED, differing)


def _partitions(topic: Topic, actual: int) -> Difference:
    refusal = (
        "more would break the order of a case's events, since the key picks the partition: "
        "move to a new topic instead"
        if actual < topic.partitions
        else "Kafka cannot take partitions away: declare what is there, or move to a new topic"
    )
    return Difference("partitions", str(topic.partitions), str(actual), refusal)


def _replication(topic: Topic, actual: int) -> Difference:
    refusal = "moving replicas copies data: do it with Kafka's partition reassignment"
    return Difference("replication_factor", str(topic.replication_factor), str(actual), refusal)


def _undeclared(existing: set[str]) -> list[Change]:
    by_rule = {topic.name for topic in declared_topics(list(NODES), local=False)}
    ours = (name for name in existing if name.startswith(_OURS))
    return [Change(name, Action.UNDECLARED) for name in ours if name not in by_rule]
