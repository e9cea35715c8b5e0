"""The relay keeps to its rate and to its size of a take. docs/faults.md 12."""

import threading

import pytest
from support.offices import BEIJING, SHANDONG
from support.slow_line import (
    CASE,
    RATE,
    TOPIC,
    backlog,
    drained,
    relaying,
    taken,
    waiting,
)
from support.world import (
    WAIT_SECONDS,
    do,
    event,
    eventually,
    read_topic,
    receive,
    rows,
)

from node.kafka.topic_names import downlink
from node.postgres.connection import connected
from node.runtime.settings import Settings
from producers.relay import relay as relays
from producers.relay.outbox_reader import take
from producers.relay.rate_limit import Rate, RateLimiter

BURST = RATE // 5

CORPS = "660000"


def test_the_rate_is_kept_on_the_topic(beijing_on_slow_line: Settings) -> None:
    """Fails when the relay takes 4000 rows at a time, or does not wait between takes.

    Between the permit and the sending the machine may pause, so that two bursts can meet.
    """
    backlog(beijing_on_slow_line, 150)
    with relaying(beijing_on_slow_line):
        drained(beijing_on_slow_line)
    sent = sorted(one.timestamp for one in read_topic(beijing_on_slow_line, TOPIC, 150))
    assert len(sent) == 150
    for number, began in enumerate(sent):
        for further, at in enumerate(sent[number:], start=1):
            assert further <= (at - began + 2) / 1000 * RATE + 2 * BURST


def test_while_no_time_passes_one_burst_is_sent_and_the_relay_waits(
    beijing_on_slow_line: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the rate is stopped, so that a busy machine changes nothing."""
    waits = []

    class Frozen(RateLimiter):
        def __init__(self, rate: Rate) -> None:
            super().__init__(rate, monotonic=lambda: 0.0)

        def wait_seconds(self) -> float:
            seconds = super().wait_seconds()
            waits.append(seconds > 0)
            return seconds

    monkeypatch.setattr(relays, "RateLimiter", Frozen)
    backlog(beijing_on_slow_line, 3 * BURST)
    with relaying(beijing_on_slow_line):
        eventually(lambda: sum(waits) > 5, "the relay waits again and again")
    assert waiting(beijing_on_slow_line) == 2 * BURST


def test_stop_interrupts_a_paced_wait(
    beijing_on_slow_line: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the wait is a sleep instead of a wait for `stop`."""
    asked = threading.Event()

    def wait_seconds(_: RateLimiter) -> float:
        asked.set()
        return 10 * WAIT_SECONDS

    monkeypatch.setattr(RateLimiter, "wait_seconds", wait_seconds)
    with relaying(beijing_on_slow_line):  # fails if the relay does not end in time
        assert asked.wait(WAIT_SECONDS)


def test_small_takes_favour_no_destination(centre: Settings) -> None:
    """Fails when equals go by their ids instead of by lot: the third topic then waits for ever."""
    topics = [downlink(node) for node in (BEIJING, SHANDONG, CORPS)]
    filling = (
        "insert into outbox (topic, case_id, event_id) select topic, %s, event_id "
        "from unnest(%s::text[]) topic, case_event, generate_series(1, 5) order by topic"
    )
    receive(centre, event(CASE))
    rows(centre, filling, (CASE, topics))
    with connected(centre.dsn, "test") as connection:
        takes = [take(connection, topics, 2, 2) for _ in range(60)]
    assert {len(one) for one in takes} == {2}
    assert {row.topic for one in takes for row in one} == set(topics)
    assert all(one[0].topic != one[1].topic for one in takes)


def test_a_take_of_large_events_is_cut_but_never_empty(beijing_on_slow_line: Settings) -> None:
    """Fails when a take is limited by rows alone: 4000 of the largest events are a gigabyte."""
    sizes = [
        len(do(beijing_on_slow_line, "register", title="停暖", channel="web").event.value)
        for _ in range(3)
    ]
    for max_bytes, ids in ((sizes[0] + 1, [1, 2]), (1, [1])):
        found = taken(beijing_on_slow_line, TOPIC, max_bytes=max_bytes)
        assert [row.id for row in found] == ids
