"""Topics deleted and made again, as somebody might who wants to clean up."""

from contextlib import closing

from support.world import eventually

from node import localstack
from node.kafka import clients
from node.kafka.topics import apply as topics
from node.localstack import LocalStack


def make_topic(stack: LocalStack, topic: str) -> None:
    """Make a topic that was deleted."""
    cluster = localstack.cluster_settings(stack.bootstrap_servers)
    declared = [one for one in topics.declared_topics(stack.nodes, local=True) if one.name == topic]
    with closing(clients.admin(cluster)) as client:
        topics.apply(client, declared, [topics.TopicChange(topic, topics.Action.CREATE)])


def delete_topic(stack: LocalStack, topic: str) -> None:
    """Delete a topic, as somebody might by mistake."""
    cluster = localstack.cluster_settings(stack.bootstrap_servers)
    with closing(clients.admin(cluster)) as client:
        client.delete_topics([topic])
        eventually(lambda: topic not in client.list_topics(), f"{topic} is gone")
