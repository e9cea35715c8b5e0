"""A topic that Kafka does not let the node read stops alone 无读取权限. docs/faults.md 31.

On a broker of its own, with Kafka's own authorizer."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
)
from support.cli import as_environment, petitionlink
from support.gate import confirm_database
from support.links import broker_with
from support.world import event, eventually, raw, rows, running, sample, send, stopped_with

from consumers.consumer import Consumer
from consumers.policy import ConsumerPolicy
from node import localstack
from node.kafka import clients
from node.kafka.topic_names import downlink, uplink
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

BEIJING, SHANDONG = "110000", "370000"
TOPIC = uplink(BEIJING)
AUTHORIZER = (
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found=true",
)
READ, ALL = ACLOperation.READ, ACLOperation.ALL
DENY = ACLPermissionType.DENY
# Stopped partitions are soon checked again.
SOON = ConsumerPolicy(recheck_seconds=0.3)


@pytest.fixture
def guarded(stack_folder: Path) -> Iterator[LocalStack]:
    """A stack whose broker asks for the rights of each request."""
    with broker_with(stack_folder, [], AUTHORIZER):
        yield localstack.up(("000000", BEIJING, SHANDONG), print)


@pytest.fixture
def centre(guarded: LocalStack) -> Settings:
    settings = stack_settings("000000")
    confirm_database(settings.dsn)
    return settings


def rights(topic: str, operation: ACLOperation) -> list[ACL]:
    """Rights that deny everybody an operation on a topic; without one that is given, a topic that
    has any would deny all others too."""
    return [
        ACL("User:*", "*", which, permission, ResourcePattern(ResourceType.TOPIC, topic))
        for which, permission in ((ALL, ACLPermissionType.ALLOW), (operation, DENY))
    ]


def deny(stack: LocalStack, topic: str, operation: ACLOperation) -> None:
    with closing(clients.admin(localstack.cluster_settings(stack.bootstrap_servers))) as client:
        assert client.create_acls(rights(topic, operation))["failed"] == []


def allow(stack: LocalStack, topic: str, operation: ACLOperation) -> None:
    with closing(clients.admin(localstack.cluster_settings(stack.bootstrap_servers))) as client:
        client.delete_acls(rights(topic, operation))


def arrive(centre: Settings, province: str, name: str) -> None:
    case_id = f"{province}-20260401-7K3M9QXA{name}"
    send(centre, uplink(province), [raw(event(case_id, emitter=province))])


def await_case(centre: Settings, province: str, name: str) -> None:
    query = "select count(*) from petition_case where case_id = %s"
    case_id = f"{province}-20260401-7K3M9QXA{name}"
    eventually(lambda: rows(centre, query, (case_id,)) == [(1,)], f"{case_id} is applied")


def test_a_topic_that_may_not_be_read_stops_alone_is_named_and_flows_again_once_it_may(
    centre: Settings, guarded: LocalStack
) -> None:
    metrics = Metrics()
    place = {"topic": TOPIC, "reason": "not_authorized"}
    with running(Consumer(centre, metrics, policy=SOON), metrics) as ended:
        for province in (BEIJING, SHANDONG):
            arrive(centre, province, "first")
            await_case(centre, province, "first")

        deny(guarded, TOPIC, READ)
        arrive(centre, BEIJING, "second")
        assert "does not let this node read it" in stopped_with(centre, "not_authorized")
        for name in ("second", "third"):
            arrive(centre, SHANDONG, name)
            await_case(centre, SHANDONG, name)
        eventually(lambda: sample(metrics, "consumer_stopped_partitions", **place) == 6, "all six")
        said = petitionlink("status", "--format", "json", settings=as_environment(centre)).json()
        assert {(one["topic"], one["reason"]) for one in said["stopped"]} == {
            (TOPIC, "not_authorized")
        }
        # It may not be read, but all may see where it ends.
        (lag,) = {
            (one["lag_records"], one["lag_seconds"])
            for one in said["partitions"]
            if one["topic"] == TOPIC and one["lag_records"]
        }
        assert lag == (1, None)

        allow(guarded, TOPIC, READ)
        await_case(centre, BEIJING, "second")
        eventually(lambda: sample(metrics, "consumer_stopped_partitions", **place) == 0, "none")
        eventually(
            lambda: rows(centre, "select count(*) from stopped_partition") == [(0,)], "none is kept"
        )
        assert ended == []


@pytest.mark.parametrize(("denied", "reason"), [(READ, "not_authorized"), (ALL, "missing")])
def test_a_node_that_is_denied_a_topic_from_its_start_reads_all_else_and_this_once_it_may(
    centre: Settings, guarded: LocalStack, denied: ACLOperation, reason: str
) -> None:
    """A topic that it may not even see is missing, as far as it can know."""
    metrics = Metrics()
    with running(Consumer(centre, metrics, policy=SOON), metrics):
        arrive(centre, BEIJING, "first")
        await_case(centre, BEIJING, "first")
    for province in (BEIJING, SHANDONG):
        arrive(centre, province, "second")
    deny(guarded, TOPIC, denied)
    with running(Consumer(centre, metrics, policy=SOON), metrics) as ended:
        stopped_with(centre, reason)
        await_case(centre, SHANDONG, "second")
        allow(guarded, TOPIC, denied)
        await_case(centre, BEIJING, "second")
        assert ended == []


def test_a_province_that_may_not_see_its_only_topic_waits_until_it_may(
    centre: Settings, guarded: LocalStack
) -> None:
    """Its relay and its desk go on meanwhile."""
    shandong, topic = stack_settings(SHANDONG), downlink(SHANDONG)
    metrics = Metrics()
    with running(Consumer(shandong, metrics, policy=SOON), metrics):
        query = "select count(*) from consumer_offset"
        eventually(lambda: rows(shandong, query) == [(6,)], "positions are noted")
    send(centre, topic, [raw(event("110000-20260401-7K3M9QXA"))])
    deny(guarded, topic, ALL)
    with running(Consumer(shandong, metrics, policy=SOON), metrics) as ended:
        assert "its ACL" in stopped_with(shandong, "missing")
        allow(guarded, topic, ALL)
        await_case(shandong, BEIJING, "")
        assert ended == []
