"""One topic that cannot be read stops alone; all others flow on, and it does once it is mended."""

import logging
from collections.abc import Callable

import pytest
from support.backups import lose_records
from support.cli import as_environment, petitionlink
from support.topics import delete_topic, make_topic
from support.web import client_of
from support.world import (
    Raw,
    count,
    event,
    eventually,
    raw,
    rows,
    running,
    sample,
    send,
    stopped_with,
)

from consumers import stopped_partitions
from consumers.consumer import Consumer
from consumers.policy import ConsumerPolicy
from node.kafka import clients
from node.kafka.topic_names import uplink
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

BEIJING, SHANDONG = "110000", "370000"
CASE = "20260401-7K3M9QXA"
_STOPPED = "select count(*) from stopped_partition"
# Stopped partitions are soon checked again.
SOON = ConsumerPolicy(recheck_seconds=0.3)


@pytest.fixture
def centre_with_topics(
    empty_topics: LocalStack,
    fresh_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """The centre with empty topics and an empty database, which looks again at once."""
    return fresh_settings("000000")


def arrive(centre_with_topics: Settings, province: str, name: str) -> None:
    """A case of this province is registered; its record is on the uplink."""
    send(
        centre_with_topics,
        uplink(province),
        [raw(event(f"{province}-{CASE}{name}", emitter=province))],
    )


def await_case(centre_with_topics: Settings, province: str, name: str) -> None:
    query = "select count(*) from petition_case where case_id = %s"
    case_id = f"{province}-{CASE}{name}"
    eventually(
        lambda: rows(centre_with_topics, query, (case_id,)) == [(1,)], f"{case_id} is applied"
    )


def begun(centre_with_topics: Settings) -> None:
    """Both provinces have been read."""
    for province in (BEIJING, SHANDONG):
        arrive(centre_with_topics, province, "first")
        await_case(centre_with_topics, province, "first")


def assert_shown_everywhere(centre: Settings, topic: str, reason: str, word: str) -> None:
    """Each place where an operator looks names the topic, the reason and since when."""
    status = petitionlink("status", "--format", "json", settings=as_environment(centre)).json()
    with client_of(centre) as client:
        asked = client.get("/v1/status").json()
        ready = client.get("/readyz")
        page = client.get("/monitor").text
    assert ready.status_code == 200  # commands are taken and published all the same
    for stopped in (status["stopped"], asked["stopped"], ready.json()["stopped"]):
        assert {(one["topic"], one["reason"]) for one in stopped} == {(topic, reason)}
        assert all(one["detail"] and one["seconds"] >= 0 for one in stopped)
    row = page[page.index('id="stopped-scroll"') :]
    for said in (topic, word, reason, " 秒</td>"):
        assert said in row[: row.index("</tbody>")]


def test_a_deleted_topic_stops_alone_is_named_and_flows_again_once_it_is_made_and_recovered(
    centre_with_topics: Settings, stack: LocalStack, caplog: pytest.LogCaptureFixture
) -> None:
    """docs/faults.md 31. Formerly: "was deleted and made again" ended the centre for all
    provinces."""
    caplog.set_level(logging.WARNING, "consumers")
    metrics = Metrics()
    with running(Consumer(centre_with_topics, metrics, policy=SOON), metrics) as ended:
        begun(centre_with_topics)
        assert sample(metrics, "consumer_stopped_partitions", topic=uplink(BEIJING),
                      reason="missing") == 0  # fmt: skip
        delete_topic(stack, uplink(BEIJING))
        assert "does not exist any more" in stopped_with(centre_with_topics, "missing")
        arrive(centre_with_topics, SHANDONG, "second")
        await_case(centre_with_topics, SHANDONG, "second")
        eventually(lambda: stopped(metrics, BEIJING, "missing") == 6, "the metric says it")
        assert_shown_everywhere(centre_with_topics, uplink(BEIJING), "missing", "主题不存在")

        make_topic(stack, uplink(BEIJING))
        stopped_with(centre_with_topics, "recreated")
        arrive(centre_with_topics, BEIJING, "third")
        arrive(centre_with_topics, SHANDONG, "third")
        await_case(centre_with_topics, SHANDONG, "third")
        petitionlink("recover", settings=as_environment(centre_with_topics))
        await_case(centre_with_topics, BEIJING, "third")
        eventually(
            lambda: rows(centre_with_topics, _STOPPED) == [(0,)], "nothing is stopped any more"
        )
        eventually(lambda: stopped(metrics, BEIJING, "recreated") == 0, "the metric says it")
        assert ended == []
    told = [one.message for one in caplog.records if one.levelno == logging.ERROR]
    assert uplink(BEIJING) in told[0]
    assert "topics apply" in told[0]
    assert len(told) == len(set(told)) <= 3


def test_a_partition_has_been_stopped_since_its_reason_began_whatever_its_detail_says(
    centre_with_topics: Settings,
) -> None:
    """Seen failing with a new time for each new detail, such as an end that goes on."""
    since = "select since, reason, detail from stopped_partition"
    place = clients.TopicPartition(uplink(BEIJING), 0)
    seen = []
    for reason, detail in (("beyond_end", "ends at 1"), ("beyond_end", "ends at 2"),
                           ("missing", "ends at 2")):  # fmt: skip
        with (
            connected(centre_with_topics.dsn, "test") as connection,
            connection,
            connection.cursor() as cursor,
        ):
            stopped_partitions.keep(cursor, [stopped_partitions.Stopped(place, reason, detail)], [])
        seen += rows(centre_with_topics, since)
    assert [row[1:] for row in seen] == [
        ("beyond_end", "ends at 1"), ("beyond_end", "ends at 2"), ("missing", "ends at 2")
    ]  # fmt: skip
    assert seen[0][0] == seen[1][0] < seen[2][0]


def stopped(metrics: Metrics, province: str, reason: str) -> float:
    return sample(metrics, "consumer_stopped_partitions", topic=uplink(province), reason=reason)


def test_a_truncated_topic_stops_alone_and_its_position_stays_until_somebody_recovers(
    centre_with_topics: Settings, stack: LocalStack
) -> None:
    """docs/faults.md 14, 31. Formerly: "records that were not applied are gone" ended the
    process."""
    metrics = Metrics()
    with running(Consumer(centre_with_topics, metrics, policy=SOON), metrics):
        begun(centre_with_topics)
    held = "select partition, next_offset from consumer_offset where topic = %s order by 1"
    before = rows(centre_with_topics, held, (uplink(BEIJING),))
    arrive(centre_with_topics, BEIJING, "lost")
    lose_records(centre_with_topics, uplink(BEIJING))
    with running(Consumer(centre_with_topics, metrics, policy=SOON), metrics) as ended:
        assert "are gone from Kafka: partition 0" in stopped_with(
            centre_with_topics, "records_gone"
        )
        arrive(centre_with_topics, SHANDONG, "second")
        await_case(centre_with_topics, SHANDONG, "second")
        assert rows(centre_with_topics, held, (uplink(BEIJING),)) == before
        petitionlink("recover", settings=as_environment(centre_with_topics))
        arrive(centre_with_topics, BEIJING, "second")
        await_case(centre_with_topics, BEIJING, "second")
        assert ended == []


def test_a_topic_of_poison_stops_alone_and_flows_again_when_its_letters_are_dealt_with(
    centre_with_topics: Settings,
) -> None:
    """docs/faults.md 21, 31. Formerly: one province's poison ended the centre for all."""
    small = centre_with_topics.model_copy(update={"dead_letter_consecutive": 3})
    metrics = Metrics()
    with running(Consumer(small, metrics, policy=SOON), metrics) as ended:
        begun(centre_with_topics)
        bad: Raw = (b"k", b"\x01poison", [])
        send(centre_with_topics, uplink(BEIJING), [bad, bad])
        eventually(lambda: count(centre_with_topics, "dead_letter") == 2, "two letters")
        send(centre_with_topics, uplink(BEIJING), [bad, bad])
        arrive(centre_with_topics, BEIJING, "second")
        assert "wrong_magic" in stopped_with(centre_with_topics, "dead_letters")
        arrive(centre_with_topics, SHANDONG, "second")
        await_case(centre_with_topics, SHANDONG, "second")
        assert stopped(metrics, BEIJING, "dead_letters") == 1
        for (letter,) in rows(centre_with_topics, "select id from dead_letter"):
            petitionlink(
                *("deadletters", "discard", str(letter), "--reason", "a test"),
                settings=as_environment(centre_with_topics),
            )
        await_case(centre_with_topics, BEIJING, "second")
        eventually(
            lambda: rows(centre_with_topics, _STOPPED) == [(0,)], "nothing is stopped any more"
        )
        assert ended == []


def test_a_node_whose_only_topic_is_gone_starts_and_waits_for_it(
    empty_topics: LocalStack,
    stack: LocalStack,
    fresh_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Formerly: a province that was started then ended, its relay and its desk with it."""
    shandong = fresh_settings(SHANDONG)
    metrics = Metrics()
    topic = f"petition.downlink.{SHANDONG}"
    with running(Consumer(shandong, metrics, policy=SOON), metrics):
        eventually(lambda: count(shandong, "consumer_offset") == 6, "positions are noted")
    delete_topic(stack, topic)
    with running(Consumer(shandong, metrics, policy=SOON), metrics) as ended:
        stopped_with(shandong, "missing")
        make_topic(stack, topic)
        stopped_with(shandong, "recreated")
        petitionlink("recover", settings=as_environment(shandong))
        send(shandong, topic, [raw(event(f"110000-{CASE}"))])
        eventually(lambda: count(shandong, "petition_case") == 1, "it is read again")
        assert ended == []
