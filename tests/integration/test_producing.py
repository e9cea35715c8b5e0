"""A producer whose broker is away: closing it is the end of it, and of what it had queued."""

import threading
import time

import pytest
from support.links import through
from support.proxy import Proxy
from support.world import end_offset, eventually

from node.kafka.topic_names import uplink
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.runtime.errors import Transient
from node.runtime.settings import Settings
from producers.relay.outbox_reader import Pending
from producers.relay.publisher import Publisher

NODE = "370000"
TOPIC = uplink(NODE)
ROW = Pending(1, TOPIC, "case", b"case", b"value", [], urgent=False)


def behind_the_last(settings: Settings) -> int:
    return sum(end_offset(settings, TOPIC, number) for number in range(6))


def network_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.endswith("-relay-network-thread")]


def test_what_a_closed_producer_had_queued_is_never_sent(
    stack: LocalStack, kafka_link: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing with the library's own `close`: the record comes when the link is back, after
    what the next session may have sent, and the thread stays for good."""
    direct = stack_settings(NODE)
    publisher = Publisher(through(direct, kafka=kafka_link), flush_seconds=5.0)
    assert publisher.publish([ROW])[1] is None
    before = behind_the_last(direct)
    kafka_link.down()
    published, failure = publisher.publish([ROW])
    publisher.close()
    assert published == []
    assert isinstance(failure, Transient)
    kafka_link.up()
    time.sleep(3)
    assert behind_the_last(direct) == before
    eventually(lambda: network_threads() == [], "its thread ends")
