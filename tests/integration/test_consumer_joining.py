"""A join that the client has lost sight of is taken up again (kafka-python 3.0.12)."""

from collections.abc import Callable

from kafka import KafkaConsumer
from support.world import eventually

from consumers.group_membership import Assignment
from node.kafka import clients, library_patches
from node.localstack import LocalStack
from node.runtime.settings import Settings


def test_a_join_that_ended_between_two_polls_still_gives_partitions(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    settings = fresh_settings("370000")
    client = clients.consumer(settings, fetch_wait_ms=100)
    try:
        client.subscribe(topics=["petition.downlink.370000"], listener=Assignment(client))
        eventually(lambda: _polled(client) and bool(client.assignment()), "the first join")
        coordinator = client._coordinator
        generation = coordinator._generation.generation_id
        # What is left when metadata began a join that ended between two polls.
        coordinator.rejoining, coordinator.rejoin_needed = True, False
        for _ in range(5):
            _polled(client)
        assert coordinator.rejoining, "the client finishes it by itself: keep_joining can go"
        library_patches.keep_joining(client)
        eventually(lambda: _polled(client) and not coordinator.rejoining, "the join is finished")
        assert coordinator._generation.generation_id > generation
        assert client.assignment()
    finally:
        client.close(autocommit=False, timeout_ms=1000)


def _polled(client: KafkaConsumer) -> bool:
    client.poll(timeout_ms=100)
    return True
