"""Transaction markers, aborted records and gaps: positions pass them, and nothing waits for them.

docs/faults.md 28, with a transactional producer on the real broker."""

import threading
from contextlib import closing
from functools import partial

import pytest
from support.backups import Backup, lose_records
from support.cli import as_environment, petitionlink
from support.offices import BEIJING, CENTRE, SHANDONG, Desk, Desks, at_work, round_with
from support.transactions import abort, await_marker, commit, send_in, transactional
from support.world import (
    WAIT_SECONDS,
    Raw,
    count,
    do,
    end_offset,
    event,
    eventually,
    raw,
    register,
    rows,
    running,
    sample,
    send,
)

from consumers.consumer import Consumer
from consumers.partition_status import partition_status
from node.kafka import clients, silence
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import control_between, downlink, uplink
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.recovery.own_events import bring_home
from node.runtime.errors import Transient
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.relay import topic_locks
from producers.relay.relay import Relay
from schemas.instants import now_micros

TOPIC = downlink(SHANDONG)
POSITIONS = "select partition, next_offset from consumer_offset where topic = %s"
CASES = ("110000-20260401-7K3M9QXA", "110000-20260401-7K3M9QXB", "110000-20260401-7K3M9QXC")
NOTHING: Raw = (b"k", b"nobody reads this", [])


def partitions_of(settings: Settings, topic: str) -> list[int]:
    with closing(clients.plain_consumer(settings, "test")) as client:
        return sorted(client.partitions_for_topic(topic))


def high_watermarks(settings: Settings, topic: str) -> dict[int, int]:
    places = [TopicPartition(topic, number) for number in partitions_of(settings, topic)]
    with closing(clients.plain_consumer(settings, "test", uncommitted=True)) as client:
        return {one.partition: end for one, end in client.end_offsets(places).items()}


def is_zero(metrics: Metrics, figure: str, labels: dict[str, str]) -> bool:
    return sample(metrics, figure, **labels) == 0


def await_at_the_end(desk: Desk, topic: str) -> None:
    """Wait until the positions in Postgres are the ends of all partitions, and no lag is shown."""
    ends = high_watermarks(desk.settings, topic)
    eventually(lambda: dict(rows(desk.settings, POSITIONS, (topic,))) == ends, "positions at ends")
    for number in ends:
        place = {"topic": topic, "partition": str(number)}
        for figure in ("consumer_lag_records", "consumer_lag_seconds"):
            eventually(partial(is_zero, desk.metrics, figure, place), figure)


def test_the_consumer_passes_markers_and_applies_no_aborted_record(desks: Desks) -> None:
    """Formerly: lag stays at 1 and its seconds grow, and the aborted event counts."""
    _, _, shandong = desks
    settings = shandong.settings
    every = partitions_of(settings, TOPIC)
    said, aborted, last = (event(case_id) for case_id in CASES)
    with running(Consumer(*shandong), shandong.metrics) as ended:
        abort(settings, TOPIC, [NOTHING], every)
        await_at_the_end(shandong, TOPIC)
        commit(settings, TOPIC, [raw(said)])
        abort(settings, TOPIC, [raw(aborted)])
        await_at_the_end(shandong, TOPIC)
        commit(settings, TOPIC, [raw(last)])
        await_at_the_end(shandong, TOPIC)
    assert ended == []
    held = {case_id for (case_id,) in rows(settings, "select case_id from case_event")}
    assert held == {said.case_id, last.case_id}
    assert count(settings, "dead_letter") == 0
    with connected(settings.dsn, "test") as connection:
        for one in partition_status(settings, connection, now_micros()):
            assert (one.lag_records, one.lag_seconds) == (0, 0.0)


def test_markers_alone_that_retention_takes_away_are_no_lost_records(desks: Desks) -> None:
    """Formerly: the position was before the marker, and its record "is gone"."""
    _, _, shandong = desks
    settings = shandong.settings
    with running(Consumer(*shandong), shandong.metrics) as ended:
        commit(settings, TOPIC, [raw(event(CASES[0]))])
        eventually(lambda: count(settings, "case_event") == 1, "the first event")
        abort(settings, TOPIC, [NOTHING] * 3)  # so that a poll gives these alone
        await_at_the_end(shandong, TOPIC)
    ends = high_watermarks(settings, TOPIC)
    with closing(clients.admin(settings)) as admin:
        admin.delete_records({TopicPartition(TOPIC, n): end for n, end in ends.items() if end})
    commit(settings, TOPIC, [raw(event(CASES[1]))])
    with running(Consumer(*shandong), shandong.metrics) as again:
        eventually(lambda: count(settings, "case_event") == 2 or again != [], "the next event")
    assert ended == again == []


def test_an_open_transaction_shows_as_lag_and_its_records_are_applied_once_it_is_committed(
    desks: Desks,
) -> None:
    """Seen failing with the ends of committed records as the measure: nothing shows that the
    partition stands still."""
    _, _, shandong = desks
    settings = shandong.settings
    place = {"topic": TOPIC, "partition": "0"}
    with (
        running(Consumer(*shandong), shandong.metrics) as ended,
        transactional(settings) as producer,
    ):
        producer.begin_transaction()
        send_in(producer, TOPIC, [raw(event(CASES[0]))])
        eventually(lambda: sample(shandong.metrics, "consumer_lag_records", **place) == 1, "lag")
        with connected(settings.dsn, "test") as connection:
            shown = {
                (s.topic, s.partition): s
                for s in partition_status(settings, connection, now_micros())
            }
        assert shown[TOPIC, 0].lag_records == 1
        assert shown[TOPIC, 0].lag_seconds is not None
        assert count(settings, "case_event") == 0
        producer.commit_transaction()
        await_marker(settings, TOPIC)
        await_at_the_end(shandong, TOPIC)
    assert count(settings, "case_event") == 1
    assert ended == []


def test_a_relay_whose_own_topics_end_with_markers_publishes(desks: Desks) -> None:
    """Formerly: its look at its own topic waits for a record that never comes."""
    _, beijing, _ = desks
    settings, topic = beijing.settings, uplink(BEIJING)
    commit(settings, topic, [NOTHING], partitions_of(settings, topic))
    abort(settings, topic, [NOTHING], partitions_of(settings, topic))
    do(settings, "register", title="供暖不足", channel="web")
    with running(Relay(*beijing), beijing.metrics) as ended:
        unsent = "select count(*) from outbox where published_at is null"
        eventually(lambda: rows(settings, unsent) == [(0,)], "it is published")
    assert ended == []
    stood = dict(rows(settings, "select partition, next_offset from own_position"))
    assert stood == {n: stood[n] for n in partitions_of(settings, topic)}


def test_recovery_ends_though_markers_end_every_topic_and_takes_no_aborted_event_home(
    desks: Desks, stack: LocalStack
) -> None:
    """Formerly: `recover` hangs."""
    _, beijing, _ = desks
    settings, topic = beijing.settings, uplink(BEIJING)
    never_said = event("110000-20260401-7K3M9QXA")
    backup = Backup(stack, settings)
    done = do(settings, "register", title="供暖不足", channel="web")
    with running(Relay(*beijing), beijing.metrics):
        unsent = "select count(*) from outbox where published_at is null"
        eventually(lambda: rows(settings, unsent) == [(0,)], "it is published")
    abort(settings, topic, [raw(never_said)], partitions_of(settings, topic))
    backup.put_back()
    found = petitionlink("recover", "--format", "json", settings=as_environment(settings)).json()
    assert found["came_home"] == 1
    assert rows(settings, "select event_id::text from case_event") == [(done.event.event_id,)]


def test_the_look_at_own_topics_waits_for_an_open_transaction_and_notices_sigterm(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An own event may stand after the open transaction: publishing before it is read could take
    its number. Seen failing with the end of committed records as the end of the look."""
    _, beijing, _ = desks
    settings, topic = beijing.settings, uplink(BEIJING)
    mine = event("110000-20260401-7K3M9QXA")
    stop = threading.Event()
    monkeypatch.setattr(silence, "_SILENCE_SECONDS", 0.1)
    with transactional(settings) as producer, transactional(settings) as mirror:
        producer.begin_transaction()
        send_in(producer, topic, [NOTHING])
        mirror.begin_transaction()
        send_in(mirror, topic, [raw(mine)])
        mirror.commit_transaction()
        with monkeypatch.context() as patch:
            patch.setattr(silence, "_TRANSACTION_SECONDS", 0.2)
            with pytest.raises(Transient, match="transaction is open there"):
                bring_home(settings, [topic], stop)
        found: list[int] = []
        looking = threading.Thread(target=lambda: found.append(bring_home(settings, [topic], stop)))
        looking.start()
        stop.set()
        looking.join(WAIT_SECONDS)
        assert found == [0]
        producer.abort_transaction()
        await_marker(settings, topic)
    assert bring_home(settings, [topic]) == 1


def test_an_open_transaction_on_one_own_topic_holds_up_that_topic_alone(
    desks: Desks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The relay publishes to all others; what follows the transaction is read once it ends."""
    centre, _, _ = desks
    settings = centre.settings
    monkeypatch.setattr(topic_locks, "_HELD_UP_SECONDS", 0.5)
    held, free = downlink(BEIJING), downlink(SHANDONG)
    waiting = "select count(*) from outbox where topic = %s and published_at is null"
    for to in (BEIJING, SHANDONG):
        do(settings, "assign", case_id=register(settings), to=to)
    mine = event("110000-20260401-7K3M9QXA", emitter=CENTRE)
    with transactional(settings) as producer:
        producer.begin_transaction()
        send_in(producer, held, [NOTHING])
        send(settings, held, [raw(mine)])
        with running(Relay(*centre), centre.metrics) as ended:
            eventually(lambda: rows(settings, waiting, (free,)) == [(0,)], "the others flow")
            eventually(
                lambda: sample(centre.metrics, "outbox_stopped_topics", topic=held) == 1, "told"
            )
            assert sample(centre.metrics, "outbox_stopped_topics", topic=free) == 0
            eventually(
                lambda: f"{held} partition 0 cannot be read from offset" in caplog.text,
                "it is said",
            )
            assert rows(settings, waiting, (held,))[0][0] > 0
            producer.abort_transaction()
            eventually(lambda: rows(settings, waiting, (held,)) == [(0,)], "it flows")
            known = "select count(*) from case_event where event_id = %s"
            assert rows(settings, known, (mine.event_id,)) == [(1,)]
            assert sample(centre.metrics, "outbox_stopped_topics", topic=held) == 0
            assert ended == []


def test_markers_on_the_control_topics_disturb_no_proof(desks: Desks) -> None:
    centre, beijing, shandong = desks
    for sender, receiver in ((CENTRE, SHANDONG), (SHANDONG, CENTRE)):
        topic = control_between(sender, receiver)
        commit(centre.settings, topic, [NOTHING])
        abort(centre.settings, topic, [NOTHING])
    with at_work(*desks):
        abort(centre.settings, control_between(CENTRE, SHANDONG), [NOTHING])
        do(shandong.settings, "register", title="供暖不足", channel="web")
        eventually(lambda: count(centre.settings, "case_event") == 1, "it arrives")
        eventually(lambda: round_with(shandong, CENTRE).equal, "it is proven")
    assert beijing


def test_gaps_in_a_partition_are_passed(desks: Desks) -> None:
    """Records that a person deleted before the node began to read, as compaction leaves them."""
    _, _, shandong = desks
    settings = shandong.settings
    base = end_offset(settings, TOPIC)
    commit(settings, TOPIC, [NOTHING] * 5)
    lose_records(settings, TOPIC)
    commit(settings, TOPIC, [raw(event(CASES[0]))])
    with running(Consumer(*shandong), shandong.metrics) as ended:
        await_at_the_end(shandong, TOPIC)
    assert ended == []
    assert rows(settings, "select source_offset from case_event") == [(base + 6,)]
