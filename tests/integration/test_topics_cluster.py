"""Declared topics against the real broker, on topics of nodes that the stack does not have."""

from collections.abc import Callable, Iterable, Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from support.world import eventually

from node import localstack
from node.kafka import clients
from node.kafka.topics.apply import Action, TopicChange, apply, plan
from node.kafka.topics.declared import Topic, declared_topics
from node.localstack import LocalStack
from node.runtime.errors import PetitionLinkError

UPLINK = "petition.uplink.120000"
STRANGER = "petition.uplink.999999"


@pytest.fixture
def client(stack: LocalStack) -> Iterator[KafkaAdminClient]:
    client = clients.admin(localstack.cluster_settings(stack.bootstrap_servers))
    yield client
    ours = {topic.name for topic in declared_topics(["120000"], local=True)} | {STRANGER}
    client.delete_topics(sorted(ours & set(client.list_topics())))
    wait_for(lambda: not ours & set(client.list_topics()))
    client.close()


@pytest.fixture
def declared() -> list[Topic]:
    return declared_topics(["120000"], local=True)


def actions(changes: Iterable[TopicChange]) -> dict[str, Action]:
    return {change.topic: change.action for change in changes}


def wait_for(condition: Callable[[], bool]) -> None:
    """Kafka acknowledges a change a moment before it shows it."""
    eventually(condition, "Kafka shows it")


def set_setting(client: KafkaAdminClient, name: str, value: str) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, UPLINK)
    changed = ConfigResource(ConfigResourceType.TOPIC, UPLINK, {name: value})
    client.alter_configs([changed])
    wait_for(
        lambda: (
            client.describe_configs([resource])["topic"][UPLINK].get(name, {}).get("value") == value
        )
    )


def make(client: KafkaAdminClient, name: str, partitions: int) -> None:
    client.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})
    client.wait_for_topics([name])


def test_missing_topics_are_planned_and_made_as_declared(
    client: KafkaAdminClient, declared: list[Topic]
) -> None:
    before = plan(client, declared)
    assert set(actions(before).values()) == {Action.CREATE}
    assert UPLINK not in client.list_topics()  # a plan changes nothing
    apply(client, declared, before)
    after = plan(client, declared)
    assert set(actions(after).values()) == {Action.UNCHANGED}
    (found,) = client.describe_topics([UPLINK])
    assert len(found["partitions"]) == 6


def test_a_differing_setting_is_named_and_put_right(
    client: KafkaAdminClient, declared: list[Topic]
) -> None:
    apply(client, declared, plan(client, declared))
    set_setting(client, "retention.ms", "1000")
    differing = {each.topic: each for each in plan(client, declared)}[UPLINK]
    assert differing.action is Action.DIFFERS
    assert differing.differences == (("retention.ms", "2592000000", "1000", ""),)
    apply(client, declared, plan(client, declared))
    assert actions(plan(client, declared))[UPLINK] is Action.UNCHANGED


def test_a_setting_that_is_not_declared_is_left_alone(
    client: KafkaAdminClient, declared: list[Topic]
) -> None:
    apply(client, declared, plan(client, declared))
    set_setting(client, "segment.bytes", "2097152")
    assert actions(plan(client, declared))[UPLINK] is Action.UNCHANGED


@pytest.mark.parametrize(
    ("partitions", "reason"), [(3, "would break the order"), (9, "cannot take partitions away")]
)
def test_another_number_of_partitions_is_refused_with_its_reason(
    client: KafkaAdminClient, declared: list[Topic], partitions: int, reason: str
) -> None:
    make(client, UPLINK, partitions)
    changes = plan(client, declared)
    with pytest.raises(PetitionLinkError, match=f"{UPLINK}: partitions is {partitions}.*{reason}"):
        apply(client, declared, changes)
    # Refused, and nothing else held up by it: the other topics are there, the settings right.
    after = {each.topic: each for each in plan(client, declared)}
    assert [each.setting for each in after[UPLINK].differences] == ["partitions"]
    assert after["petition.downlink.120000"].action is Action.UNCHANGED
    assert len(client.describe_topics([UPLINK])[0]["partitions"]) == partitions


def test_more_replicas_than_brokers_are_refused_before_anything_is_made(
    client: KafkaAdminClient,
) -> None:
    declared = declared_topics(["120000"], local=False)
    with pytest.raises(PetitionLinkError, match=r"factor 3 is declared.*1 broker.*--local"):
        apply(client, declared, plan(client, declared))
    assert UPLINK not in client.list_topics()


def test_another_replication_factor_is_refused_with_its_reason(client: KafkaAdminClient) -> None:
    local = declared_topics(["120000"], local=True)
    apply(client, local, plan(client, local))
    whole = declared_topics(["120000"], local=False)
    with pytest.raises(PetitionLinkError, match=r"replication_factor is 1.*reassignment"):
        apply(client, whole, plan(client, whole))


def test_a_topic_under_our_prefix_that_no_node_has_is_shown_and_kept(
    client: KafkaAdminClient, declared: list[Topic]
) -> None:
    make(client, STRANGER, 1)
    changes = plan(client, declared)
    assert actions(changes)[STRANGER] is Action.UNDECLARED
    apply(client, declared, changes)
    assert STRANGER in client.list_topics()


def test_topics_of_nodes_outside_the_plan_are_not_called_undeclared(
    stack: LocalStack, client: KafkaAdminClient, declared: list[Topic]
) -> None:
    apply(client, declared, plan(client, declared))
    changes = plan(client, declared_topics(stack.nodes, local=True))
    assert UPLINK not in actions(changes)


def test_a_setting_that_kafka_does_not_know_is_one_clear_line(
    client: KafkaAdminClient, declared: list[Topic]
) -> None:
    wrong = [topic._replace(settings={"retention.millis": "1"}) for topic in declared]
    with pytest.raises(PetitionLinkError, match=r"(?s)retention\.millis"):
        apply(client, wrong, plan(client, wrong))
