"""The names of all topics 主题 (docs/contract.md §1)."""

from functools import cache

from cases.nodes import NATIONAL, PROVINCES


def uplink(node: str) -> str:
    """Return the topic 上行 that province `node` writes and the centre reads."""
    return f"petition.uplink.{node}"


def downlink(node: str) -> str:
    """Return the topic 下行 that the centre writes and province `node` reads."""
    return f"petition.downlink.{node}"


@cache
def own_topic(node: str) -> str:
    """Return the topic 自有 that holds every event that `node` emits, outside its database.

    A province's is its uplink. Only the centre reads the centre's, to recover.
    """
    return f"petition.own.{node}" if node == NATIONAL else uplink(node)


def dead_letter(node: str) -> str:
    """Return the topic 死信 of records that `node` could not apply, with the original bytes."""
    return f"petition.deadletter.{node}"


def control_uplink(node: str) -> str:
    """Return the topic 上行控制 for digests, accounts and receipts of `node` for the centre."""
    return f"petition.control.uplink.{node}"


def control_downlink(node: str) -> str:
    """Return the topic 下行控制 for those of the centre for province `node`."""
    return f"petition.control.downlink.{node}"


def control_between(sender: str, receiver: str) -> str:
    """Return the control topic that `sender` writes for `receiver`; one of them is the centre."""
    return control_uplink(sender) if receiver == NATIONAL else control_downlink(receiver)


def peers_of(node: str) -> list[str]:
    """Return the nodes that `node` exchanges events with: every province, or the centre."""
    return [*PROVINCES] if node == NATIONAL else [NATIONAL]


@cache
def topic_between(sender: str, receiver: str) -> str:
    """Return the topic that `sender` writes for `receiver`; one of them is the centre."""
    return uplink(sender) if receiver == NATIONAL else downlink(receiver)


def receiver_of(topic: str) -> str:
    """Return the node that reads an uplink, a downlink or the centre's own topic."""
    if topic.startswith(uplink("")) or topic == own_topic(NATIONAL):
        return NATIONAL
    return topic.removeprefix(downlink(""))


def consumed_topics(node: str) -> list[str]:
    """Return the topics that `node` applies to its ledger."""
    if node == NATIONAL:
        return [uplink(province) for province in PROVINCES]
    return [downlink(node)]


def produced_topics(node: str) -> list[str]:
    """Return the topics that the relay of `node` publishes to, its own topic first."""
    return list(dict.fromkeys([own_topic(node), *peer_topics(node)]))


def peer_topics(node: str) -> list[str]:
    """Return the topics that `node` writes for its peers to read."""
    return [topic_between(node, peer) for peer in peers_of(node)]
