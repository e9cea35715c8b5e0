"""docs/faults.md 13 on a real broker: one record of a batch is refused, the others are not."""

import time
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from support.flows import flowing, live
from support.ledgers import assert_sound, await_settled
from support.world import count, do, ended_with, rows, running

from node.kafka import clients
from node.kafka.topic_names import uplink
from node.kafka.topics import apply as topics
from node.keys.office import open_office
from node.localstack import LocalStack
from node.postgres.connection import connect
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.relay import publisher
from producers.relay.relay import Relay

TOPIC = uplink("370000")
_SMALL_BYTES = 2_000
# Nothing in it repeats, so that no compression makes it small.
_LONG_TEXT = "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(2_000))
_BEHIND = 2
# Longer than a batch takes there and back: no record shares one with the refused.
_APART_SECONDS = 0.1
_MARKED = """
    select count(*) from outbox where published_at is not null and case_id = any(%s)
"""
_ORDER = "select array_agg(version order by feed_id) from case_event where case_id = %s"


def limit(settings: Settings, value: str) -> None:
    """Return the largest batch that the topic takes."""
    resource = ConfigResource(ConfigResourceType.TOPIC, TOPIC, {"max.message.bytes": value})
    with closing(clients.admin(settings)) as client:
        client.alter_configs([resource])


def declared(stack: LocalStack) -> object:
    """Return the largest batch by the release's own file."""
    by_name = {one.name: one for one in topics.declared_topics(stack.nodes, local=True)}
    return by_name[TOPIC].settings["max.message.bytes"]


def test_after_a_record_that_the_broker_refuses_nothing_of_its_case_goes_ahead(
    new_centre: Settings,
    new_shandong: Settings,
    new_nodes: LocalStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """docs/faults.md 13. Seen failing with a producer that is not idempotent
    (node/kafka/clients.py): what follows the refused event is acknowledged and arrives before
    it. That such a row would not be marked either is held by
    tests/unit/test_producers_publishing.py."""
    send_one_by_one(monkeypatch)
    given = {"case_id": live_until_accepted(new_shandong), "progress": "短"}
    do(new_shandong, "progress", **given | {"progress": _LONG_TEXT})
    for _ in range(_BEHIND):
        do(new_shandong, "progress", **given)
    live_until_accepted(new_shandong)
    limit(new_shandong, str(_SMALL_BYTES))
    try:
        metrics = Metrics()
        with running(Relay(new_shandong, metrics), metrics) as ended:
            assert "MessageSizeTooLarge" in ended_with(ended)
    finally:
        limit(new_shandong, str(declared(new_nodes)))
    assert rows(new_shandong, _MARKED, ([given["case_id"]],)) == [(2,)]
    with flowing(new_centre, new_shandong):
        await_settled(new_nodes)
    assert rows(new_centre, _ORDER, (given["case_id"],)) == [([*range(1, _BEHIND + 4)],)]
    assert count(new_centre, "case_event") == _BEHIND + 3 + 2
    assert_sound(new_nodes)


def send_one_by_one(patch: pytest.MonkeyPatch) -> None:
    """Slow the relay down, so that every record is a batch that may be refused by itself."""
    send = KafkaProducer.send

    def slow(*given: Any, **named: Any) -> Any:
        time.sleep(_APART_SECONDS)
        return send(*given, **named)

    patch.setattr(KafkaProducer, "send", slow)
    patch.setattr(publisher, "_LINGER_MS", 0)


def live_until_accepted(settings: Settings) -> str:
    """Make a case with two events; return its id."""
    with closing(connect(settings.dsn, "test")) as connection:
        return live(connection, open_office(settings), 2)
