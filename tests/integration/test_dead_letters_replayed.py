"""A replayed dead letter is applied from its original bytes, once, whoever else replays it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.cli import Done, petitionlink, refused
from support.letters import (
    audited,
    defective_release,
    kept,
    misread,
    poison,
    states,
)
from support.replaying import CASE, CENTRE, SHANDONG, TOPIC, command, given, replayed
from support.world import (
    count,
    event,
    eventually,
    raw,
    rows,
    running,
    send,
)

from cases.vocabulary import event_types as types
from consumers import decode
from consumers.admin.replay import StillPoison
from consumers.consumer import Consumer
from node.kafka.topic_names import uplink
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.errors import PetitionLinkError
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store import flow_counts
from schemas.errors import TRAILING_BYTES, WRONG_HEADERS


def test_what_a_release_could_not_read_is_applied_from_its_original_bytes_after_the_fix(
    empty_topics: LocalStack, province_with_desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if the value is rebuilt, or the headers are not those that came."""
    events = [event(f"{CASE}{n}") for n in range(3)]
    with defective_release(monkeypatch), running(Consumer(province_with_desk, m := Metrics()), m):
        send(province_with_desk, TOPIC, [raw(one) for one in events])
        eventually(lambda: count(province_with_desk, "dead_letter") == 3, "three dead letters")
    done = petitionlink(
        *("deadletters", "replay", "--all", "--reason", "malformed", "--format", "json"),
        settings=given(province_with_desk),
    ).json()
    assert (done["replayed"], done["refused"]) == (3, 0)
    assert [one["result"] for one in done["results"]] == ["applied"] * 3
    assert [one["case_id"] for one in done["results"]] == [one.case_id for one in events]
    held = rows(
        province_with_desk, "select event_id::text, value, extra_headers from case_event order by 1"
    )
    assert [(i, bytes(v), h) for i, v, h in held] == [(e.event_id, e.value, None) for e in events]
    assert rows(
        province_with_desk, "select count(*) from petition_case where state = 'registered'"
    ) == [(3,)]
    assert [(s, a, r) for _, s, _, a, r in states(province_with_desk)] == [
        ("replayed", "desk-1", "applied")
    ] * 3
    assert [
        (actor, case) for actor, case, _ in audited(province_with_desk, "deadletter.replayed")
    ] == [("desk-1", one.case_id) for one in events]


def test_a_replay_at_the_centre_owes_the_others_what_the_consumer_would_have_owed(
    fresh_settings: Callable[..., Settings],
) -> None:
    """Fails if only the ledger is written: without onward copies Shandong never hears of it."""
    centre = fresh_settings(CENTRE)
    both = [raw(event(CASE)), raw(event(CASE, 2, type_=types.COPIED, body={"to": SHANDONG}))]
    ids = kept(centre, *(misread(uplink("110000"), n, one) for n, one in enumerate(both)))
    assert [replayed(centre, id_) for id_ in ids] == ["applied", "applied"]
    assert rows(centre, "select topic, count(*) from outbox group by 1") == [(TOPIC, 2)]
    assert rows(centre, "select source_topic, source_offset from case_event order by 2") == [
        (uplink("110000"), 0),
        (uplink("110000"), 1),
    ]


def test_a_record_read_twice_is_one_letter_and_one_of_a_topic_made_again_is_another(
    fresh_settings: Callable[..., Settings],
) -> None:
    """Seen failing with letters that are unique by topic, partition and offset: the record of the
    new topic vanished."""
    shandong = fresh_settings(SHANDONG)
    old, new = raw(event(CASE)), raw(event(CASE, 2))
    for record in (old, old, new, new):
        kept(shandong, misread(TOPIC, 7, record))
    held = rows(shandong, 'select "offset", value from dead_letter order by id')
    assert [(offset, bytes(value)) for offset, value in held] == [(7, old[1]), (7, new[1])]


def test_what_is_still_poison_stays_open_and_stops_no_other(province_with_desk: Settings) -> None:
    """Fails if the first refusal ends the command."""
    key, value, headers = raw(event(CASE))
    assert value is not None
    ids = kept(
        province_with_desk,
        poison(TOPIC, 0, (key, value + b"\0", headers)),
        misread(TOPIC, 1, (key, value, headers)),
        poison(TOPIC, 2, (b"another", value, headers)),
    )
    done = command(province_with_desk, "replay", *map(str, ids))
    line = refused(done)
    assert line.startswith(f"dead letter {ids[0]} is still poison: {TRAILING_BYTES}: ")
    assert line.endswith("it stays open; 1 more were refused")
    told = results(done)
    assert [(one["ok"], one["result"]) for one in told] == [
        (False, TRAILING_BYTES),
        (True, "applied"),
        (False, WRONG_HEADERS),
    ]
    assert [status for _, status, *_ in states(province_with_desk)] == ["open", "replayed", "open"]
    assert len(audited(province_with_desk, "deadletter.replayed")) == 1


def results(done: Done) -> Any:
    return done._replace(code=0).json()["results"]


def test_an_event_that_is_there_already_is_a_duplicate_and_the_letter_is_done_with(
    province_with_desk: Settings,
) -> None:
    one = raw(event(CASE))
    ids = kept(province_with_desk, misread(TOPIC, 0, one), misread(TOPIC, 1, one))
    assert [replayed(province_with_desk, id_) for id_ in ids] == ["applied", "duplicate"]
    assert count(province_with_desk, "case_event") == 1
    assert [status for _, status, *_ in states(province_with_desk)] == ["replayed", "replayed"]


def test_a_value_that_only_postgres_refuses_stays_open(
    province_with_desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails without the look at the SQLSTATE: an error of the database instead of a sentence."""
    one = event(CASE, body={"title": "a?b", "channel": "web", "received_at": 0})
    bad = raw(one._replace(value=one.value.replace(b"a?b", b"a\0b")))
    (id_,) = kept(province_with_desk, misread(TOPIC, 0, bad))
    monkeypatch.setattr(decode, "_has_nul", lambda value: False)  # our own check taken out
    with pytest.raises(StillPoison, match="refused_by_database: Postgres refuses its value"):
        replayed(province_with_desk, id_)
    assert count(province_with_desk, "case_event") == 0
    assert states(province_with_desk)[0][1] == "open"


def test_two_who_replay_one_letter_at_once_do_it_once(province_with_desk: Settings) -> None:
    """Fails without `for update`: both find it open, and both say that they did it."""
    (id_,) = kept(province_with_desk, misread(TOPIC, 0, raw(event(CASE))))
    told: list[str] = []

    def one() -> None:
        try:
            told.append(replayed(province_with_desk, id_))
        except PetitionLinkError as error:
            told.append(str(error))

    with connected(province_with_desk.dsn, "test") as other, other, other.cursor() as cursor:
        cursor.execute("select 1 from dead_letter where id = %s for update", (id_,))
        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        eventually(lambda: waiting(province_with_desk) == 2, "both wait for the letter")
    for thread in threads:
        thread.join()
    assert sorted(told)[0] == "applied"
    assert sorted(told)[1].startswith(f"dead letter {id_} was replayed already, by desk-1 at ")
    assert len(audited(province_with_desk, "deadletter.replayed")) == 1


def waiting(settings: Settings) -> int:
    """Count the transactions that wait for a lock in the node's database."""
    query = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )
    return int(rows(settings, query)[0][0])


def test_a_replay_waits_for_a_consumer_in_the_order_in_which_that_takes_its_locks(
    province_with_desk: Settings,
) -> None:
    """Fails if the partition is acknowledged after the writing: the replay holds the case."""
    rows(province_with_desk, "insert into consumer_offset values (%s, 0, 7)", (TOPIC,))
    first, second = kept(
        province_with_desk, *(misread(TOPIC, n, raw(event(CASE, n + 1))) for n in (0, 1))
    )
    assert replayed(province_with_desk, first) == "applied"
    told: list[str] = []
    with (
        connected(province_with_desk.dsn, "test") as consumer,
        consumer,
        consumer.cursor() as cursor,
    ):
        cursor.execute("update consumer_offset set next_offset = 8 where topic = %s", (TOPIC,))
        thread = threading.Thread(target=lambda: told.append(replayed(province_with_desk, second)))
        thread.start()
        eventually(lambda: waiting(province_with_desk) == 1, "the replay waits")
        cursor.execute("select 1 from petition_case where case_id = %s for update nowait", (CASE,))
    thread.join()
    assert told == ["conflict"]  # it is registered a second time
    assert rows(province_with_desk, "select next_offset, judged_from from consumer_offset") == [
        (8, 8)
    ]


def test_the_accounts_count_a_replayed_letter_as_applied_and_no_longer_as_dead(
    empty_topics: LocalStack, province_with_desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails without `_moved`: committed 2, applied 0, dead-lettered 2 for ever."""
    with defective_release(monkeypatch), running(Consumer(province_with_desk, m := Metrics()), m):
        send(province_with_desk, TOPIC, [raw(event(f"{CASE}{n}")) for n in range(2)])
        eventually(lambda: count(province_with_desk, "dead_letter") == 2, "two dead letters")
    assert account(province_with_desk) == {"received": 2, "applied": 0, "dead_lettered": 2}
    for id_, *_ in states(province_with_desk):
        replayed(province_with_desk, id_)
    assert account(province_with_desk) == {"received": 2, "applied": 2, "dead_lettered": 0}


def account(settings: Settings) -> dict[str, int]:
    with connected(settings.dsn, "test") as connection, connection.cursor() as cursor:
        (day,) = flow_counts.days(cursor, TOPIC).values()
    return {name: getattr(day, name) for name in ("received", "applied", "dead_lettered")}
