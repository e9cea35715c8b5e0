"""docs/faults.md 9 and 10: the link to the centre's broker, and to Postgres, broken in every
way."""

import time
from collections.abc import Callable

import pytest
from support.flows import assert_in_order, flowing, live_many, loaded
from support.ledgers import assert_sound, await_settled
from support.links import through
from support.proxy import Conditions, Proxy
from support.world import count, eventually, running, sample

from node.kafka import clients
from node.localstack import LocalStack
from node.queries.database_gauges import Observer
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

SHANDONG, TOPIC = "370000", "petition.uplink.370000"
# The real 20 s are waited for by `make soak`.
_PATIENCE_MS = 4_000
_SLOW = Conditions(delay_seconds=0.5, jitter_seconds=0.2)
_NARROW = Conditions(bits_per_second=64_000)
_BLACK_HOLE = Conditions(swallows=True)
# Lengths of responses after which they are cut: in the size, in the header, in the records.
_CUTS = (2, 7, 60, 700, 3, 90, 1500, 11)


def _reset_often(link: Proxy) -> None:
    for _ in range(4):
        link.reset()
        time.sleep(0.3)


def _cut_often(link: Proxy) -> None:
    link.cut_responses(*_CUTS)
    eventually(lambda: link.cuts_left == 0, "all cuts are made")


def _during(conditions: Conditions, seconds: float) -> Callable[[Proxy], None]:
    def fault(link: Proxy) -> None:
        link.conditions = conditions
        time.sleep(seconds)
        link.conditions = Conditions()

    return fault


def _reset_and_cut(link: Proxy) -> None:
    _reset_often(link)
    _cut_often(link)


KAFKA_FAULTS: dict[str, Callable[[Proxy], None]] = {
    "reset and cut": _reset_and_cut,
    "delayed 500 ms": _during(_SLOW, 2.0),
    "64 kbit/s": _during(_NARROW, 2.0),
    "black-holed": _during(_BLACK_HOLE, 2.0),
}
POSTGRES_FAULTS = (_reset_often, _cut_often, _during(Conditions(holds=True), 2.0))


@pytest.mark.parametrize("name", KAFKA_FAULTS)
def test_a_broken_link_to_kafka_under_load_costs_time_and_nothing_else(
    new_centre: Settings,
    new_shandong: Settings,
    new_nodes: LocalStack,
    kafka_link: Proxy,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """docs/faults.md 10. Seen failing with a relay that marks what it has sent without waiting for
    the acknowledgement (producers/relay/publisher.py)."""
    monkeypatch.setattr(clients, "_REQUEST_TIMEOUT_MS", _PATIENCE_MS)
    both = through(new_centre, kafka=kafka_link), through(new_shandong, kafka=kafka_link)
    with flowing(*both), loaded(new_shandong) as load:
        load.await_more(5)
        KAFKA_FAULTS[name](kafka_link)
        load.finish()
        await_settled(new_nodes)
    assert count(new_centre, "case_event") == 3 * len(load.cases)
    assert_in_order(new_centre, new_shandong)
    assert_sound(new_nodes)


def test_a_broken_link_to_postgres_under_load_costs_time_and_nothing_else(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack, database_link: Proxy
) -> None:
    """docs/faults.md 10. Seen failing with a lost connection that counts as a defect: the bare
    DatabaseError of a reset without SQLSTATE (node/runtime/errors.py) ended the relay."""
    both = (
        through(new_centre, postgres=database_link),
        through(new_shandong, postgres=database_link),
    )
    with flowing(*both), loaded(new_shandong) as load:
        load.await_more(5)
        for fault in POSTGRES_FAULTS:
            fault(database_link)
            load.await_more(2)
        load.finish()
        await_settled(new_nodes)
    assert count(new_centre, "case_event") == 3 * len(load.cases)
    assert_in_order(new_centre, new_shandong)
    assert_sound(new_nodes)


def test_a_link_that_is_down_for_long_fills_the_outbox_and_drains_it_in_order(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack, kafka_link: Proxy
) -> None:
    """docs/faults.md 9. Seen failing with an age that is that of the newest row
    (node/queries/database_gauges.py)."""
    watched = Metrics()
    away = through(new_shandong, kafka=kafka_link)
    with running(Observer(new_shandong, watched), watched), flowing(new_centre, away):
        made = live_many(new_shandong, 2)
        await_settled(new_nodes)
        kafka_link.down()
        made += live_many(new_shandong, 40)
        waiting = made - 6
        eventually(
            lambda: sample(watched, "outbox_pending_records", topic=TOPIC) == waiting, "it grows"
        )
        age = sample(watched, "outbox_oldest_pending_seconds", topic=TOPIC)
        time.sleep(1.0)
        assert sample(watched, "outbox_oldest_pending_seconds", topic=TOPIC) >= age + 1.0
        kafka_link.up()
        await_settled(new_nodes)
        eventually(
            lambda: sample(watched, "outbox_oldest_pending_seconds", topic=TOPIC) == 0, "it is 0"
        )
    assert count(new_centre, "case_event") == made
    assert_in_order(new_centre, new_shandong)
    assert_sound(new_nodes)
