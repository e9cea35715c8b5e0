"""docs/faults.md 21: much poison stops the loop; it does not drain the topic into the dead
letters."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from support.consuming import CASE, SHANDONG, TOPIC
from support.letters import states
from support.world import (
    Raw,
    count,
    end_offset,
    event,
    eventually,
    raw,
    rows,
    running,
    sample,
    send,
    stopped_with,
)

from consumers import decode
from consumers.admin.resolve import discard
from consumers.apply_batch import apply_batch
from consumers.consumer import Consumer
from consumers.partition_status import ends_of
from node.kafka import clients
from node.kafka.topic_names import dead_letter
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

BAD: Raw = (b"k", b"\x01poison", [])
HELD = "select next_offset, consecutive_dead_letters from consumer_offset where partition = 0"


@pytest.fixture
def province_with_small_limits(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> Settings:
    """Shandong with empty topics, an empty database and small limits."""
    small = {"dead_letter_consecutive": 5, "dead_letter_window": 200}
    return fresh_settings(SHANDONG).model_copy(update=small)


@pytest.fixture
def base(province_with_small_limits: Settings) -> int:
    """The offset of the first record that the test writes to partition 0."""
    return end_offset(province_with_small_limits, TOPIC)


def start(settings: Settings, metrics: Metrics | None = None) -> Any:
    metrics = metrics or Metrics()
    return running(Consumer(settings, metrics), metrics)


def stopped(settings: Settings) -> str:
    """Return the one line with which a consumer that is started now stops the partition."""
    rows(settings, "delete from stopped_partition")
    with start(settings) as ended:
        line = stopped_with(settings, "dead_letters")
        assert ended == []
        return line


def letters(settings: Settings, number: int) -> None:
    eventually(lambda: count(settings, "dead_letter") == number, f"{number} dead letters")


def mixed(signs: str) -> list[Raw]:
    """Return one record for each sign: x is poison, anything else a case of its own."""
    return [BAD if sign == "x" else raw(event(f"{CASE}{n}")) for n, sign in enumerate(signs)]


def on_the_topic(settings: Settings) -> int:
    """Count all dead letters that were ever published."""
    with closing(clients.plain_consumer(settings, "test")) as client:
        return sum(ends_of(client, [dead_letter(SHANDONG)]).values())


def test_nothing_but_poison_stops_the_loop_before_anything_of_it_is_dead_lettered(
    province_with_small_limits: Settings, base: int
) -> None:
    """Fails without `Guard.check` in the sink: eight letters, and the position moves on."""
    published = on_the_topic(province_with_small_limits)
    send(province_with_small_limits, TOPIC, [*mixed(".."), *[BAD] * 8])
    line = stopped(province_with_small_limits)
    assert "\n" not in line
    assert line.startswith(f"{TOPIC} partition 0 offset {base + 7}: wrong_magic: ")
    assert "dead letter 6 in a row, PETITIONLINK_DEAD_LETTER_CONSECUTIVE is 5" in line
    assert "petitionlink deadletters list" in line
    assert rows(province_with_small_limits, HELD) == [(base, 0)]
    assert (
        count(province_with_small_limits, "dead_letter"),
        count(province_with_small_limits, "case_event"),
    ) == (0, 0)
    assert on_the_topic(province_with_small_limits) == published


def test_a_supervisor_that_starts_it_again_and_again_does_not_drain_the_topic(
    province_with_small_limits: Settings, base: int
) -> None:
    """Fails if the count begins at 0 with each process (History(0, …) in `Guard`)."""
    for number in (1, 2):
        with start(province_with_small_limits) as ended:
            send(province_with_small_limits, TOPIC, [BAD, BAD])
            letters(province_with_small_limits, 2 * number)
            assert ended == []
    send(province_with_small_limits, TOPIC, [BAD, BAD])
    for _ in range(2):
        assert f"offset {base + 5}: " in stopped(province_with_small_limits)
    assert count(province_with_small_limits, "dead_letter") == 4
    assert rows(province_with_small_limits, HELD) == [(base + 4, 4)]


def test_dealing_with_a_letter_begins_the_count_again_even_while_the_consumer_runs(
    province_with_small_limits: Settings, base: int
) -> None:
    """Fails without `offsets.acknowledge`: the consumer ends at the sixth."""
    with start(province_with_small_limits) as ended:
        send(province_with_small_limits, TOPIC, [BAD] * 5)
        letters(province_with_small_limits, 5)
        with connected(province_with_small_limits.dsn, "test") as connection:
            discard(
                connection,
                states(province_with_small_limits)[0][0],
                "desk-1",
                "the sender is mended",
            )
        assert rows(province_with_small_limits, HELD) == [(base + 5, 0)]
        send(province_with_small_limits, TOPIC, [BAD] * 3)
        letters(province_with_small_limits, 8)
        assert ended == []
        send(province_with_small_limits, TOPIC, mixed("."))
        eventually(
            lambda: rows(province_with_small_limits, HELD) == [(base + 9, 0)],
            "a good record resets it",
        )


def test_too_great_a_share_stops_it_although_good_records_come_between(
    province_with_small_limits: Settings, base: int
) -> None:
    """Fails without `Run._share`: never five in a row, so all 134 are dead-lettered."""
    few = province_with_small_limits.model_copy(update={"dead_letter_ratio": 0.6})
    send(province_with_small_limits, TOPIC, mixed("xx." * 67))
    line = stopped(few)
    assert f"offset {base + 199}: " in line
    assert "134 of the last 200 records would be dead letters" in line
    assert "PETITIONLINK_DEAD_LETTER_RATIO is 0.6" in line
    assert count(province_with_small_limits, "dead_letter") == 0
    with start(province_with_small_limits.model_copy(update={"dead_letter_ratio": 0.7})):
        letters(province_with_small_limits, 134)
    send(province_with_small_limits, TOPIC, mixed("xx"))
    # What the process before kept counts, as far as the window reaches.
    assert f"offset {base + 201}: " in stopped(few)


def test_what_only_postgres_refuses_counts_too_and_no_more_of_it_is_drained_by_starting_again(
    province_with_small_limits: Settings, base: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails with the check made once for the whole poll: halving would condemn all eight."""
    monkeypatch.setattr(decode, "_has_nul", lambda value: False)  # our own check taken out
    refused = [with_nul(n) for n in range(8)]
    send(province_with_small_limits, TOPIC, [*mixed("..."), *refused, raw(event(f"{CASE}-last"))])
    for _ in range(2):
        assert f"offset {base + 8}: refused_by_database: " in stopped(province_with_small_limits)
        assert rows(province_with_small_limits, HELD) == [(base + 8, 5)]
        assert (
            count(province_with_small_limits, "case_event"),
            count(province_with_small_limits, "dead_letter"),
        ) == (3, 5)


def with_nul(number: int) -> Raw:
    body = {"title": "a?b", "channel": "web", "received_at": 0}
    one = event(f"{CASE}-nul{number}", body=body)
    return raw(one._replace(value=one.value.replace(b"a?b", b"a\0b")))


def test_a_transaction_that_fails_and_is_tried_again_counts_its_poison_once(
    province_with_small_limits: Settings, base: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if the count is raised before the commit: three tries of two are six."""
    breaking = iter([True, False, True])

    def breaks(*given: Any) -> Any:
        if next(breaking, False):
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        return apply_batch(*given)

    monkeypatch.setattr("consumers.apply_batch.apply_batch", breaks)
    metrics = Metrics()
    send(province_with_small_limits, TOPIC, [BAD, BAD])
    with start(province_with_small_limits, metrics) as ended:
        letters(province_with_small_limits, 2)
        send(province_with_small_limits, TOPIC, [BAD, BAD, BAD])
        letters(province_with_small_limits, 5)
        assert ended == []
    assert rows(province_with_small_limits, HELD) == [(base + 5, 5)]
    assert sample(metrics, "consumer_records_total", topic=TOPIC, result="dead_letter") == 5
