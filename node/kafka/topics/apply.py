"""Declared topics against a cluster: what differs (`plan`) and making it so (`apply`).

What `apply` never does: raise the number of partitions (the key would pick another one, and the
order of a case's events be lost), lower it (Kafka cannot), move replicas (a reassignment, which
copies data), delete a topic, or reset a setting that is not declared.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import NoError, TopicAlreadyExistsError

from node.kafka.topics.declared import Topic, declared_topics
from node.kafka.topics.plan import Action, Change, Difference, plan
from node.runtime.errors import Fatal, Transient

__all__ = ["Action", "Change", "Difference", "Topic", "apply", "brokers", "declared_topics", "plan"]

_NEW_TOPIC_LIMIT_MS = 20_000
_IN_FORCE_LIMIT_SECONDS = 20.0
_POLL_SECONDS = 0.05
# No error, or another `apply` was faster: either way the topic is there.
_IS_THERE = (NoError.errno, TopicAlreadyExistsError.errno)


def brokers(client: KafkaAdminClient) -> int:
    """How many brokers the cluster has."""
    return len(client.describe_cluster()["brokers"])


def apply(client: KafkaAdminClient, topics: Sequence[Topic], changes: Iterable[Change]) -> None:
    """Create and alter what the plan says and wait until it is in force.

    Afterwards `Fatal` if something had to be refused, with the reason.
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


def _is_open(change: Change) -> bool:
    """Whether there is something for `apply` to do."""
    alterable = any(not each.refusal for each in change.differences)
    return change.action is Action.CREATE or alterable


def _await_in_force(client: KafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Kafka acknowledges a change a moment before every broker shows it."""
    deadline = time.monotonic() + _IN_FORCE_LIMIT_SECONDS
    while topics and any(_is_open(change) for change in plan(client, topics)):
        if time.monotonic() > deadline:
            raise Transient("the topics are made, but Kafka does not show them yet: look again")
        time.sleep(_POLL_SECONDS)


def _create(client: KafkaAdminClient, topics: Sequence[Topic]) -> None:
    if not topics:
        return
    wanted, found = max(topic.replication_factor for topic in topics), brokers(client)
    if found < wanted:
        raise Fatal(
            f"replication factor {wanted} is declared and the cluster has {found} broker(s): "
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


def _alter(client: KafkaAdminClient, changes: Iterable[Change]) -> None:
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
