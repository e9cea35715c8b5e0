"""Records that the soak writes by hand: poison of every reason, and true ones again."""

import random
import uuid
from typing import Any

from kafka import errors as kafka_errors
from soak.world import World
from support.bombs import ARRAY_BOMB, TEXT_BOMB
from support.ledgers import query, records
from support.world import Raw, event, raw, send

from cases.nodes import NATIONAL
from node.kafka.topic_names import consumed_topics, downlink, uplink

_REPEATED = 40
# A node that has no part in the soak, so that nobody waits for its events.
_STRANGER = "650000"
_APPLIED = "select event_id::text from case_event where event_id::text = any(%s)"


def poison(world: World, chance: random.Random) -> None:
    """Send a few records that no node can apply; each must become a dead letter."""
    node = chance.choice(world.nodes)
    topic = uplink(chance.choice(world.nodes[1:])) if node == NATIONAL else downlink(node)
    bad = [chance.choice(kinds_of_poison(topic)) for _ in range(chance.randint(1, 5))]
    try:
        send(world.direct[node], topic, bad, chance.randrange(6))
    except kafka_errors.KafkaError as error:
        world.find(f"the soak could not write poison: {type(error).__name__}")
        return
    world.poisoned[node] += len(bad)


def kinds_of_poison(topic: str) -> list[Raw]:
    """Return one record of each kind that no node can apply."""
    good = event(f"{_STRANGER}-20260401-{uuid.uuid4().hex[:8].upper()}", emitter=_STRANGER)
    key, value, headers = raw(good)
    assert value is not None
    bad: list[Raw] = [
        (key, b"", headers),
        (key, b"\0\0\0\0", headers),
        (key, b"\1" + value[1:], headers),
        (key, value[:40], headers),
        (key, value + b"\0", headers),
        (b"another-case", value, headers),
        (key, ARRAY_BOMB, headers),
        (key, TEXT_BOMB, headers),
        (key, bytes(range(200)), headers),
    ]
    if topic.startswith("petition.uplink"):
        bad.append((key, value, headers))  # from a province that is not its emitter
    return bad


def repeat(world: World, chance: random.Random) -> None:
    """Records that a node has applied are written again, in another order."""
    node = chance.choice(world.nodes)
    topics = [one for one in consumed_topics(node) if one.rpartition(".")[2] in world.nodes]
    held = {_id_of(one): one for one in records(node, chance.choice(topics))}
    applied = [held[one] for (one,) in query(node, _APPLIED, [one for one in held if one])]
    again = chance.sample(applied, min(_REPEATED, len(applied)))
    for partition in {one.partition for one in again}:
        several = [one for one in again if one.partition == partition]
        values = [(one.key, one.value, [*one.headers]) for one in several]
        send(world.direct[node], several[0].topic, values, partition)


def applied_records(world: World, node: str, topic: str) -> list[Raw]:
    """Return the records of a topic whose events are in the ledger of `node`."""
    held = {_id_of(one): one for one in records(node, topic)}
    applied = query(node, _APPLIED, [one for one in held if one])
    return [(held[one].key, held[one].value, [*held[one].headers]) for (one,) in applied]


def _id_of(record: Any) -> str:
    return next((value.decode() for name, value in record.headers if name == "ce_id"), "")
