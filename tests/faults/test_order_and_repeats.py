"""docs/faults.md 20 on real parts: every event twice, in any order, to the centre and to a
province."""

import random
from functools import partial

from support.ledgers import events, folds
from support.world import event, eventually, raw, rows, running, sample, send

from cases.vocabulary import event_types as types
from consumers.consumer import Consumer
from node.kafka.topic_names import downlink, uplink
from node.localstack import LocalStack
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from schemas.event import Event

CENTRE, BEIJING, SHANDONG = "000000", "110000", "370000"
CASES = [f"{BEIJING}-20260401-7K3M9Q{number:02d}" for number in range(12)]
_SEED = 20261125


def life(case_id: str) -> list[Event]:
    """Return a case of Beijing's of which Shandong gets a copy and to which it adds something."""
    opinion = {"outcome": "explained", "opinion": "…"}
    return [
        event(case_id),
        event(case_id, 2, type_=types.ACCEPTED, body={}),
        event(case_id, 3, type_=types.COPIED, body={"to": SHANDONG}),
        event(case_id, 4, type_=types.PROGRESSED, body={"progress": "…"}),
        event(case_id, 4, SHANDONG, type_=types.PROGRESSED, emitter_sequence=1,
              body={"progress": "…"}),
        event(case_id, 5, type_=types.DECIDED, body=opinion),
    ]  # fmt: skip


def twice(all_events: list[Event], chance: random.Random) -> list[Event]:
    """Return each of them two times, shuffled."""
    doubled = [*all_events, *all_events]
    chance.shuffle(doubled)
    return doubled


def test_every_event_twice_and_in_any_order_gives_the_same_ledgers_and_cases(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 20. Seen failing with `continues` always true (cases/fold.py): late events are
    passed over, and without `on conflict` (node/store/events.py): the consumer takes them for
    poison."""
    chance = random.Random(_SEED)
    # So small that a batch brings what belongs before the last one.
    new_centre, new_shandong = (
        one.model_copy(update={"batch_records": 7}) for one in (new_centre, new_shandong)
    )
    made = [one for case_id in CASES for one in life(case_id)]
    for node in (BEIJING, SHANDONG):
        own = twice([one for one in made if one.emitter == node], chance)
        send(new_centre, uplink(node), [raw(one) for one in own])
    send(new_shandong, downlink(SHANDONG), [raw(one) for one in twice(made, chance)])
    first, second = Metrics(), Metrics()
    with (
        running(Consumer(new_centre, first), first),
        running(Consumer(new_shandong, second), second),
    ):
        for metrics in (first, second):
            eventually(partial(all_passed, metrics, 2 * len(made)), "all are passed")
            assert results(metrics, "duplicate") == len(made)
            assert results(metrics, "dead_letter") == 0
    assert events(CENTRE, CASES).keys() == {one.event_id for one in made}
    assert events(CENTRE, CASES) == events(SHANDONG, CASES)
    assert folds(CENTRE, CASES) == folds(SHANDONG, CASES)
    assert rows(new_centre, "select distinct state, incomplete from petition_case") == [
        ("decided", False)
    ]


def results(metrics: Metrics, result: str) -> float:
    """Count the records that ended so."""
    topics = (uplink(BEIJING), uplink(SHANDONG), downlink(SHANDONG))
    return sum(
        sample(metrics, "consumer_records_total", topic=topic, result=result) for topic in topics
    )


def passed(metrics: Metrics) -> float:
    """Count the records that were taken."""
    return sum(results(metrics, one) for one in ("applied", "duplicate", "conflict", "dead_letter"))


def all_passed(metrics: Metrics, number: int) -> bool:
    return passed(metrics) == number


def test_events_of_one_batch_are_in_the_feed_in_the_order_in_which_they_came(
    new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 10, found by it. Seen failing without the order of the insert
    (node/store/events.py): a small row goes into a page that had no room for the large one before
    it."""
    chance = random.Random(_SEED)
    texts = [_text(chance, chance.choice((1, 230))) for _ in range(400)]
    base = {"channel": "web", "received_at": 1_767_225_600_000_000, "title": "测试"}
    made = [
        event(f"{BEIJING}-20260401-7K3M{number:04d}", body={**base, "text": text})
        for number, text in enumerate(texts)
    ]
    metrics = Metrics()
    with running(Consumer(new_shandong, metrics), metrics):
        # Into a table that is as new, Postgres copies without looking for room.
        send(new_shandong, downlink(SHANDONG), [raw(event(CASES[0]))])
        eventually(lambda: passed(metrics) == 1, "the first one is passed")
        send(new_shandong, downlink(SHANDONG), [raw(one) for one in made])
        eventually(lambda: passed(metrics) == len(made) + 1, "all are passed")
    assert sample(metrics, "consumer_batch_records_count") < 10
    order = rows(new_shandong, "select source_offset from case_event order by applied_xid, feed_id")
    assert order == sorted(order)


def _text(chance: random.Random, length: int) -> str:
    """Text that cannot be packed, so that its row is as long as it looks."""
    return "".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(length))
