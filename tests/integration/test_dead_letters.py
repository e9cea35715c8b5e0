"""Dead letters dealt with by people: seen, replayed as they came, discarded, all on record."""

from __future__ import annotations

import threading
from base64 import b64decode
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from support.cli import Done, as_environment, in_process, petitionlink, refused
from support.letters import (
    audited,
    defective_release,
    kept,
    misread,
    poison,
    states,
)
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
)

from cases.vocabulary import event_types as types
from consumers import decode
from consumers.admin.replay import StillPoison, replay
from consumers.admin.resolve import discard
from consumers.batch import Poison
from consumers.consumer import Consumer
from consumers.dead_letters import DeadLetterTopic
from node.entrypoints.cli.payload import payload_as_text
from node.kafka.topic_names import downlink, uplink
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.queries import database_gauges, dead_letters
from node.queries.database_gauges import Observer
from node.runtime.clock import now_micros
from node.runtime.errors import PetitionLinkError
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store import flow_counts
from schemas.errors import TRAILING_BYTES, WRONG_HEADERS

SHANDONG, CENTRE = "370000", "000000"
TOPIC = downlink(SHANDONG)
CASE = "110000-20260401-7K3M9QXA"
SECRET = "张示例 110101199001011234"


@pytest.fixture
def province_with_desk(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with an empty database."""
    return fresh_settings(SHANDONG).model_copy(update={"actor": "desk-1"})


def replayed(settings: Settings, id_: int) -> str:
    """What became of a letter."""
    with connected(settings.dsn, "test") as connection:
        return replay(connection, settings.node, id_, settings.actor, now_micros()).result


def command(settings: Settings, *arguments: str, output: str = "json") -> Done:
    """`petitionlink deadletters …` at the node."""
    return in_process("deadletters", *arguments, "--format", output, settings=given(settings))


def given(settings: Settings) -> dict[str, str]:
    return as_environment(settings) | {"PETITIONLINK_ACTOR": settings.actor}


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
    """How many transactions wait for a lock in the node's database."""
    query = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )
    return int(rows(settings, query)[0][0])


def test_a_replay_waits_for_a_consumer_in_the_order_in_which_that_takes_its_locks(
    province_with_desk: Settings,
) -> None:
    """Fails if the partition is acknowledged behind the writing: the replay holds the case."""
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


def test_a_payload_is_shown_only_when_asked_for_and_each_look_is_on_record(
    province_with_desk: Settings,
) -> None:
    """Fails if `show` prints the value, an unknown header, or does not audit."""
    bad = (
        CASE.encode(),
        f"\1{SECRET}".encode(),
        [("ce_id", b"2026"), ("ce_time", b"2026-01-01T00:00:00Z"),
         ("x-name", SECRET.encode()), ("[/red]\x1b[2J", b"")],
    )  # fmt: skip
    (id_,) = kept(province_with_desk, poison(TOPIC, 0, bad))
    listed = command(province_with_desk, "list")
    (letter,) = listed.json()["letters"]
    assert {name: letter[name] for name in ("id", "topic", "partition", "offset", "reason")} == {
        "id": id_, "topic": TOPIC, "partition": 0, "offset": 0, "reason": "wrong_magic",
    }  # fmt: skip
    assert (letter["size"], letter["status"]) == (len(bad[1]), "open")
    plain = command(province_with_desk, "show", str(id_))
    headers = {one["name"]: one.get("value") for one in plain.json()["headers"]}
    assert headers == {"ce_id": None, "ce_time": "2026-01-01T00:00:00Z", "x-name": None,
                       "[/red]·[2J": None}  # fmt: skip
    as_table = command(province_with_desk, "show", str(id_), output="table")
    for done in (listed, plain, as_table):
        assert done.code == 0, done
        assert "张示例" not in done.out + done.err
        assert "\x1b" not in done.out
    assert audited(province_with_desk, "deadletter.payload_seen") == []
    payload = command(province_with_desk, "show", str(id_), "--payload").json()["payload"]
    assert b64decode(payload["key"]) == bad[0]
    assert b64decode(payload["value"]) == bad[1]
    assert [(name, b64decode(value)) for name, value in payload["headers"]] == bad[2]
    place = {"id": id_, "topic": TOPIC, "partition": 0, "offset": 0}
    assert audited(province_with_desk, "deadletter.payload_seen") == [("desk-1", None, place)]


def test_a_discarded_letter_keeps_its_bytes_and_the_reason(province_with_desk: Settings) -> None:
    """Fails if it is deleted, or not audited."""
    first, second = kept(
        province_with_desk, *(misread(TOPIC, n, (None, b"\1", [])) for n in range(2))
    )
    done = command(
        province_with_desk, "discard", str(first), "--reason", "test data of  the sender"
    ).json()
    assert (done["discarded"], done["refused"]) == (1, 0)
    why = "test data of the sender"
    assert states(province_with_desk) == [
        (first, "discarded", "malformed", "desk-1", why),
        (second, "open", "malformed", None, None),
    ]
    assert rows(
        province_with_desk, "select value = '\\x01' from dead_letter where id = %s", (first,)
    ) == [(True,)]
    ((actor, _, detail),) = audited(province_with_desk, "deadletter.discarded")
    assert (actor, detail["id"], detail["resolution"]) == ("desk-1", first, why)
    with (
        connected(province_with_desk.dsn, "test") as connection,
        pytest.raises(PetitionLinkError, match="was discarded already, by desk-1"),
    ):
        discard(connection, first, "desk-2", "again")


def test_a_long_list_is_read_page_by_page(province_with_desk: Settings) -> None:
    """Fails with `>=` for `>`, or an order that is not by id."""
    ids = kept(province_with_desk, *(misread(TOPIC, n, (None, b"\1", [])) for n in range(5)),
               misread(TOPIC, 9, (None, b"\1", []), TRAILING_BYTES))  # fmt: skip
    with connected(province_with_desk.dsn, "test") as connection:
        discard(connection, ids[1], "desk-1", "nobody needs it")
    page = command(province_with_desk, "list", "--limit", "2", "--reason", "malformed").json()
    assert [one["id"] for one in page["letters"]] == [ids[0], ids[2]]
    rest = command(
        province_with_desk, "list", "--after", str(page["next_after"]), "--status", "all"
    ).json()
    assert [one["id"] for one in rest["letters"]] == ids[3:]
    assert rest["next_after"] is None


class _Strange(NamedTuple):
    """A record that no client of ours can send: a header without a value, a time beyond time."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int


def test_whatever_a_record_is_it_can_be_kept_and_looked_at(province_with_desk: Settings) -> None:
    """Fails with headers as jsonb (NUL), without the null of a header, or the range of a time:
    then such a record stops the consumer for good."""
    strange: list[Any] = [
        _Strange(TOPIC, 0, offset, None, None, [("a\0b", None)], timestamp)
        for offset, timestamp in enumerate([-(2**63), 2**63 - 1])
    ]
    letters = [Poison(one, "empty", "the record has no value") for one in strange]
    with closing(DeadLetterTopic(province_with_desk)) as topic:
        topic.publish(letters)
    for id_ in kept(province_with_desk, *letters):
        with pytest.raises(StillPoison, match="empty"):
            replayed(province_with_desk, id_)
        with connected(province_with_desk.dsn, "test") as connection, connection.cursor() as cursor:
            shown = [*payload_as_text(dead_letters.payload(cursor, id_))]
        assert shown == ["key 键: none", "header a·b: none", "value 值: none"]


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The observer looks often."""
    monkeypatch.setattr(database_gauges, "_PERIOD_SECONDS", 0.05)


@pytest.mark.usefixtures("quick_looks")
def test_the_age_of_the_oldest_open_letter_is_a_metric(province_with_desk: Settings) -> None:
    """Fails with the age of the youngest, or one that stays when none is open."""
    metrics = Metrics()
    reasons = ("malformed", "malformed", TRAILING_BYTES)
    nothing: Raw = (None, b"\1", [])
    ids = kept(
        province_with_desk, *(misread(TOPIC, n, nothing, why) for n, why in enumerate(reasons))
    )
    older = "update dead_letter set created_at = created_at - interval '1 h' where id = %s"
    rows(province_with_desk, older, (ids[0],))
    with running(Observer(province_with_desk, metrics), metrics):
        eventually(lambda: sample(metrics, "dead_letter_oldest_open_seconds") >= 3600, "an hour")
        assert sample(metrics, "dead_letters_open", reason="malformed") == 2
        with connected(province_with_desk.dsn, "test") as connection:
            for id_ in ids:
                discard(connection, id_, "desk-1", "nobody needs it")
        eventually(lambda: sample(metrics, "dead_letter_oldest_open_seconds") == 0, "none is left")


@pytest.mark.usefixtures("quick_looks")
def test_an_idle_transaction_is_visible_as_a_metric(
    province_with_desk: Settings, fresh_settings: Callable[..., Settings]
) -> None:
    """docs/faults.md 12: in whatever database of the cluster. Fails with only the active ones
    counted."""
    metrics = Metrics()
    name = "postgres_oldest_transaction_seconds"
    with running(Observer(province_with_desk, metrics), metrics):
        with connected(fresh_settings("110000").dsn, "test") as idle:
            with idle.cursor() as cursor:
                cursor.execute("select pg_current_xact_id()")
            eventually(lambda: sample(metrics, name) > 1, "the transaction is seen")
            idle.rollback()
        eventually(lambda: sample(metrics, name) < 1, "it is over")
