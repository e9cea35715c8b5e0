"""Topics of a cluster against their declaration: `plan` names what differs, `apply` corrects it.

`apply` never raises the number of partitions (a key would pick another one, and a case's events
lose their order), lowers it (Kafka cannot), moves replicas (that copies data), deletes a topic, or
resets a setting that is not declared.
"""

import time
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import NoError, TopicAlreadyExistsError

from cases.nodes import NODES
from node.kafka.topics.declared import Topic, declared_topics
from node.runtime.errors import Fatal, Transient

__all__ = [
    "Action",
    "SettingDifference",
    "Topic",
    "TopicChange",
    "apply",
    "brokers",
    "declared_topics",
    "plan",
]

_OURS = "petition."
_NEW_TOPIC_LIMIT_MS = 20_000
_IN_FORCE_LIMIT_SECONDS = 20.0
_POLL_SECONDS = 0.05
# No error, or another `apply` was faster: either way the topic is there.
_IS_THERE = (NoError.errno, TopicAlreadyExistsError.errno)


class Action(StrEnum):
    """The action that brings a topic to its declaration, or why there is none."""

    CREATE = "create"
    UNCHANGED = "unchanged"
    DIFFERS = "differs"
    UNDECLARED = "undeclared"


class SettingDifference(NamedTuple):
    """A setting that is not as declared; `refusal` says why `apply` will not change it, if so."""

    setting: str
    declared: str
    actual: str
    refusal: str = ""


class TopicChange(NamedTuple):
    """A line of a plan: a topic and what differs."""

    topic: str
    action: Action
    differences: tuple[SettingDifference, ...] = ()

    @property
    def refused(self) -> tuple[SettingDifference, ...]:
        """The differences that `apply` cannot or will not change."""
        return tuple(each for each in self.differences if each.refusal)


def plan(client: KafkaAdminClient, topics: Sequence[Topic]) -> list[TopicChange]:
    """Compare the cluster with the declaration, by name; change nothing.

    A topic with our prefix that no node has by rule is listed as undeclared.
    """
    existing = set(client.list_topics())
    present = [topic for topic in topics if topic.name in existing]
    shapes, settings = _shapes(client, present), _settings(client, present)
    changes = [
        _compared(topic, shapes[topic.name], settings[topic.name])
        if topic.name in existing
        else TopicChange(topic.name, Action.CREATE)
        for topic in topics
    ]
    return sorted(changes + _undeclared(existing))


def _shapes(client: KafkaAdminClient, topics: Sequence[Topic]) -> dict[str, tuple[int, int]]:
    """Return partitions and replication factor by topic; while it is reassigned, the larger one."""
    if not topics:
        return {}
    shapes = {}
    for described in client.describe_topics([topic.name for topic in topics]):
        replicas = [len(partition["replica_nodes"]) for partition in described["partitions"]]
        shapes[described["name"]] = (len(replicas), max(replicas, default=0))
    return shapes


def _settings(client: KafkaAdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, Any]]:
    """Return the settings in force by topic, the broker's defaults included."""
    if not topics:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    return dict(client.describe_configs(resources, config_filter="all")["topic"])


def _compared(topic: Topic, shape: tuple[int, int], settings: dict[str, Any]) -> TopicChange:
    partitions, replication = shape
    differences = [_partitions(topic, partitions), _replication(topic, replication)]
    for name, value in topic.settings.items():
        actual = settings.get(name, {}).get("value", "unknown to the broker")
        differences.append(SettingDifference(name, value, str(actual)))
    differing = tuple(each for each in differences if each.declared != each.actual)
    return TopicChange(topic.name, Action.DIFFERS if differing else Action.UNCHANGED, differing)


def _partitions(topic: Topic, actual: int) -> SettingDifference:
    refusal = (
        "more would break the order of a case's events, since the key picks the partition: "
        "move to a new topic instead"
        if actual < topic.partitions
        else "Kafka cannot take partitions away: declare what is there, or move to a new topic"
    )
    return SettingDifference("partitions", str(topic.partitions), str(actual), refusal)


def _replication(topic: Topic, actual: int) -> SettingDifference:
    refusal = "moving replicas copies data: do it with Kafka's partition reassignment"
    return SettingDifference(
        "replication_factor", str(topic.replication_factor), str(actual), refusal
    )


def _undeclared(existing: set[str]) -> list[TopicChange]:
    by_rule = {topic.name for topic in declared_topics(list(NODES), local=False)}
    ours = (name for name in existing if name.startswith(_OURS))
    return [TopicChange(name, Action.UNDECLARED) for name in ours if name not in by_rule]


def brokers(client: KafkaAdminClient) -> int:
    return len(client.describe_cluster()["brokers"])


def apply(
    client: KafkaAdminClient, topics: Sequence[Topic], changes: Iterable[TopicChange]
) -> None:
    """Create and alter what the plan says, and wait until it is in force.

    Afterwards raise `Fatal` with the reason if something had to be refused.
    """
    declared = {topic.name: topic for topic in topics}
    changes = list(changes)
    _create(client, [declared[each.topic] for each in changes if each.action is Action.CREATE])
    _alter(client, changes)
    _await_in_force(client, [declared[each.topic] for each in changes if _is_open(each)])
    refused = [(each.topic, difference) for each in changes for difference in each.refused]
    if refused:
        topic, first = refused[0]
        more = f" (and {len(refused) - 1} more: `petitionlink topics plan`)" if refused[1:] else ""
        raise Fatal(
            f"topic {topic}: {first.setting} is {first.actual}, declared is {first.declared}: "
            f"{first.refusal}{more}"
        )


def _is_open(change: TopicChange) -> bool:
    alterable = any(not each.refusal for each in change.differences)
    return change.action is Action.CREATE or alterable


def _await_in_force(client: KafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Wait until every broker shows the changes: Kafka acknowledges them a moment before."""
    deadline = time.monotonic() + _IN_FORCE_LIMIT_SECONDS
    while topics and any(_is_open(change) for change in plan(client, topics)):
        if time.monotonic() > deadline:
            raise Transient("the topics are made, but Kafka does not show them yet: try again")
        time.sleep(_POLL_SECONDS)


def _create(client: KafkaAdminClient, topics: Sequence[Topic]) -> None:
    if not topics:
        return
    wanted, available = max(topic.replication_factor for topic in topics), brokers(client)
    if available < wanted:
        raise Fatal(
            f"replication factor {wanted} is declared and the cluster has {available} broker(s): "
            "add brokers, or pass --local for the [local] section of the topics file"
        )
    new = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication_factor,
            "configs": dict(topic.settings),
        }
        for topic in topics
    }
    answer = client.create_topics(new, timeout_ms=_NEW_TOPIC_LIMIT_MS, raise_errors=False)
    for topic in answer["topics"]:
        if topic["error_code"] not in _IS_THERE:
            raise Fatal(f"topic {topic['name']}: Kafka refuses it: {topic['error_message']}")
    client.wait_for_topics(list(new), timeout_ms=_NEW_TOPIC_LIMIT_MS)  # their leaders, too


def _alter(client: KafkaAdminClient, changes: Iterable[TopicChange]) -> None:
    resources = []
    for change in changes:
        settings = {each.setting: each.declared for each in change.differences if not each.refusal}
        if settings:
            resources.append(ConfigResource(ConfigResourceType.TOPIC, change.topic, settings))
    if not resources:
        return
    results = client.alter_configs(resources, raise_on_unknown=False)["topic"]
    for topic, result in results.items():
        if result != "OK":
            raise Fatal(f"topic {topic}: Kafka refuses the declared settings: {result}")
