"""Dead letters dealt with by people: seen, replayed as they came, discarded, all on record."""

from base64 import b64decode
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from support.letters import (
    audited,
    kept,
    misread,
    poison,
    states,
)
from support.replaying import CASE, TOPIC, command, replayed
from support.world import (
    Raw,
    eventually,
    rows,
    running,
    sample,
)

from consumers.admin.replay import StillPoison
from consumers.admin.resolve import discard
from consumers.batch import Poison
from consumers.dead_letters import DeadLetterTopic
from node.entrypoints.cli.payload import payload_as_text
from node.postgres.connection import connected
from node.queries import dead_letters
from node.queries.database_gauges import Observer
from node.runtime.errors import PetitionLinkError
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from schemas.errors import TRAILING_BYTES

SECRET = "张示例 110101199001011234"


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
    with running(Observer(province_with_desk, metrics, period_seconds=0.05), metrics):
        eventually(lambda: sample(metrics, "dead_letter_oldest_open_seconds") >= 3600, "an hour")
        assert sample(metrics, "dead_letters_open", reason="malformed") == 2
        with connected(province_with_desk.dsn, "test") as connection:
            for id_ in ids:
                discard(connection, id_, "desk-1", "nobody needs it")
        eventually(lambda: sample(metrics, "dead_letter_oldest_open_seconds") == 0, "none is left")


def test_an_idle_transaction_is_visible_as_a_metric(
    province_with_desk: Settings, fresh_settings: Callable[..., Settings]
) -> None:
    """docs/faults.md 12: in whatever database of the cluster. Fails with only the active ones
    counted."""
    metrics = Metrics()
    name = "postgres_oldest_transaction_seconds"
    with running(Observer(province_with_desk, metrics, period_seconds=0.05), metrics):
        with connected(fresh_settings("110000").dsn, "test") as idle:
            with idle.cursor() as cursor:
                cursor.execute("select pg_current_xact_id()")
            eventually(lambda: sample(metrics, name) > 1, "the transaction is seen")
            idle.rollback()
        eventually(lambda: sample(metrics, name) < 1, "it is over")
