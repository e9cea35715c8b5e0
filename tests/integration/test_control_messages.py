"""Control messages 控制消息 out of bounds: dropped, counted, logged once; nothing ends."""

import json
import logging
import random
from types import SimpleNamespace
from typing import Any

import pytest
from support.control import EVENT_ID, MemoryChannel, mutated, received, valid
from support.offices import CENTRE, SHANDONG, Desk, Desks
from support.world import eventually, register, rows, running, sample, send

from node.kafka.topic_names import control_between, uplink
from node.postgres.connection import connected
from node.reconcile import control_channel, protocol
from node.reconcile.control_channel import Received
from node.reconcile.message_intake import RESULTS, Intake
from node.reconcile.session import Conversation
from node.reconcile.worker import Reconciler
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

BEIJING = "110000"
_DAY = valid()["account"]["received"][0]
_LONG = "x" * (protocol.MAX_MESSAGE_BYTES + 1)

# Messages out of bounds, by what is wrong with them.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a position beyond bigint": ("account", {"positions": {"0": 2**63}}),
    "a partition beyond integer": ("account", {"positions": {"4294967296": 1}}),
    "a day twice": ("account", {"received": [_DAY, _DAY]}),
    "a count beyond bigint": ("account", {"received": [_DAY | {"applied": 2**70}]}),
    "a count below zero": ("account", {"received": [_DAY | {"received": -1}]}),
    "NUL in the reason of a dead letter": (
        "account",
        {"dead_letters": [{"partition": 0, "offset": 1, "reason": "a\0b"}]},
    ),
    "half a surrogate pair in a text": (
        "account",
        {"dead_letters": [{"partition": 0, "offset": 1, "reason": "\ud800"}]},
    ),
    "NUL in a case id": (
        "events",
        {"cases": [{"case_id": "a\0b", "events": [EVENT_ID], "in_flight": []}]},
    ),
    "more cases that differ than an integer holds": ("concluded", {"mismatched": 2**31}),
    "a date that no calendar has": ("account", {"sent": [{"day": "10000-01-01"}]}),
    "a list that is too long": ("events", {"cases": [{}] * (protocol.MOST_CASES + 1)}),
}


def wrong(name: str, round_id: str = "r") -> tuple[str, dict[str, Any]]:
    kind, changed = VARIANTS[name]
    return kind, valid(round_id)[kind] | changed


def dropped(metrics: Metrics, peer: str = SHANDONG) -> float:
    results = set(RESULTS) - {"handled", "unknown_kind"}
    return sum(sample(metrics, "control_messages_total", peer=peer, result=one) for one in results)


def test_each_message_out_of_bounds_is_dropped_and_counted_and_the_next_one_is_read(
    desks: Desks, caplog: pytest.LogCaptureFixture
) -> None:
    """docs/faults.md 32. Formerly: each of the ten ended the process."""
    centre = desks[0]
    topic = control_between(SHANDONG, CENTRE)
    with running(Reconciler(*centre), centre.metrics) as ended:
        await_hearing(centre, topic)
        records = [
            record(kind, json.dumps(message).encode()) for kind, message in map(wrong, VARIANTS)
        ]
        send(centre.settings, topic, [*records, *records, record("account", b"\xff")])
        send(centre.settings, topic, [record("account", account({"0": 41}))])
        eventually(lambda: position(centre) == 41, "the next account is heard")
        assert ended == []
    assert dropped(centre.metrics) == 2 * len(VARIANTS) + 1
    told = [one for one in caplog.records if "dropped" in one.message]
    assert len(told) == len({(kind, "malformed") for kind, _ in VARIANTS.values()})


def record(kind: str, payload: bytes) -> Any:
    return None, payload, [("ce_type", f"petition.control.{kind}.v1".encode())]


def account(positions: dict[str, int]) -> bytes:
    return json.dumps(valid()["account"] | {"positions": positions}).encode()


def position(desk: Desk) -> int:
    topic = uplink(SHANDONG) if desk.node == SHANDONG else f"petition.downlink.{SHANDONG}"
    found = rows(desk.settings, "select next_offset from peer_position where topic = %s", (topic,))
    return found[0][0] if found else -1


def await_hearing(desk: Desk, topic: str) -> None:
    """Say something until the reader has received it, because a reader begins at the end."""

    def heard() -> bool:
        send(desk.settings, topic, [record("account", account({"0": 7}))])
        return position(desk) == 7

    eventually(heard, "the reconciler listens")


def test_what_the_database_refuses_of_a_message_drops_it_and_no_more(
    centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second line of defence: our bounds taken out, Postgres refuses, the node goes on."""

    def unbounded(kind: str, payload: bytes) -> Any:
        return protocol.KINDS[kind].model_construct(**_built(kind, json.loads(payload)))

    monkeypatch.setattr(protocol, "read", unbounded)
    names = ["a position beyond bigint", "a partition beyond integer", "a day twice",
             "NUL in the reason of a dead letter", "a count beyond bigint"]  # fmt: skip
    metrics, channel = Metrics(), MemoryChannel()
    with connected(centre.dsn, "test") as connection:
        talk = conversation(connection, channel, metrics)
        channel.incoming = [received(SHANDONG, *wrong(name)) for name in names]
        channel.incoming.append(received(SHANDONG, "account", valid()["account"]))
        talk.listen(0)
    assert sample(metrics, "control_messages_total", peer=SHANDONG, result="refused") == len(names)
    assert sample(metrics, "control_messages_total", peer=SHANDONG, result="handled") == 1


def _built(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    assert kind == "account"
    return {
        "positions": {int(key): value for key, value in given["positions"].items()},
        "received": [protocol.Day.model_construct(**one) for one in given["received"]],
        "dead_letters": [
            protocol.DeadLettered.model_construct(**one) for one in given["dead_letters"]
        ],
        "sent": [protocol.SentDay.model_construct(**one) for one in given["sent"]],
    }


def conversation(connection: Any, channel: MemoryChannel, metrics: Metrics) -> Conversation:
    made = Intake(metrics, [SHANDONG, BEIJING])
    return Conversation(CENTRE, "d", connection, channel, answers=True, intake=made)


def test_no_mutation_of_any_message_ends_a_conversation(
    centre: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Seeded: 1,200 of them, through the real handling on a real database that holds cases."""
    caplog.set_level(logging.ERROR, "node.reconcile.message_intake")
    for _ in range(2):
        register(centre)
    dice, metrics, channel = random.Random(20261126), Metrics(), MemoryChannel()
    with connected(centre.dsn, "test") as connection:
        talk = conversation(connection, channel, metrics)
        for _ in range(60):
            made = talk.begin(SHANDONG)
            whole = valid(made.id)
            kinds = dice.choices([*whole], k=20)
            channel.incoming = [
                received(SHANDONG, kind, mutated(whole[kind], dice)) for kind in kinds
            ]
            talk.listen(0)
            talk.forget(made)
        counted = {
            one: sample(metrics, "control_messages_total", peer=SHANDONG, result=one)
            for one in RESULTS
        }
        assert sum(counted.values()) == 60 * 20
        # What our bounds let through, the database and our code can hold.
        assert counted["refused"] == 0
        assert counted["malformed"] > 300
        assert counted["handled"] > 200
        channel.incoming = [received(BEIJING, kind, one) for kind, one in valid().items()]
        talk.listen(0)
    assert sample(metrics, "control_messages_total", peer=BEIJING, result="handled") == len(valid())


def test_a_message_that_is_too_long_is_not_even_parsed() -> None:
    metrics = Metrics()
    long = Received(SHANDONG, "verdict", json.dumps({"round": _LONG}).encode())
    assert Intake(metrics, [SHANDONG]).read(long) is None
    assert sample(metrics, "control_messages_total", peer=SHANDONG, result="too_large") == 1


def test_a_kind_without_a_value_is_a_kind_that_nobody_knows() -> None:
    """Another client may write a header without a value; ours does not."""
    assert control_channel._kind(SimpleNamespace(headers=[("ce_type", None)])) == ""
