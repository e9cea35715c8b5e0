"""The ledger 事件账 on a real Postgres: what a batch writes, in which order the feed gives it."""

import random
from collections.abc import Callable, Sequence

import pytest
from support.world import event, rows

from node.postgres.connection import connected
from node.runtime.settings import Settings
from node.store import events as store_events
from node.store.write_events import pack, write_events
from schemas.event import Event

FEED = "select event_id::text from case_event order by applied_xid, feed_id"


@pytest.mark.parametrize("known", [0, 1], ids=["all new", "one known already"])
def test_events_are_in_the_feed_in_the_order_in_which_they_are_written(
    fresh_settings: Callable[..., Settings], known: int
) -> None:
    """Seen failing with feed numbers given on the way from the temporary table to the ledger: a
    small row fills up a page that a large one before it had no room on."""
    shandong = fresh_settings("370000")
    chance = random.Random(20261125)
    made = [event(f"110000-{n}", body=_body(_text(chance))) for n in range(1200)]
    with connected(shandong.dsn, "test") as connection:
        for at in range(0, len(made), 400):  # the table is only used again in the second
            behind = max(0, at - known)
            with connection, connection.cursor() as cursor:
                new = store_events.write(cursor, _packed(made[behind : at + 400]))
            assert new == made[at : at + 400]
    assert [event_id for (event_id,) in rows(shandong, FEED)] == [one.event_id for one in made]


def test_an_event_twice_in_a_batch_and_one_known_are_written_once(
    fresh_settings: Callable[..., Settings],
) -> None:
    shandong = fresh_settings("370000")
    first, second, third = (event(f"110000-{n}") for n in range(3))
    with connected(shandong.dsn, "test") as connection:
        with connection, connection.cursor() as cursor:
            assert store_events.write(cursor, _packed([first, second, first])) == [first, second]
        with connection, connection.cursor() as cursor:
            assert store_events.write(cursor, _packed([second, third, first, third])) == [third]
        with connection, connection.cursor() as cursor:
            assert store_events.write(cursor, _packed([first])) == []
    found = [event_id for (event_id,) in rows(shandong, FEED)]
    assert found == [one.event_id for one in (first, second, third)]


def test_of_two_events_with_one_id_the_digest_is_that_of_the_one_which_was_kept(
    fresh_settings: Callable[..., Settings],
) -> None:
    """Seen failing with the digest of the last one."""
    shandong = fresh_settings("370000")
    first = event("110000-1")
    other = first._replace(value=first.value + b"?")
    with connected(shandong.dsn, "test") as connection, connection, connection.cursor() as cursor:
        assert write_events(cursor, "370000", _packed([first, other])).events == [first]
    assert rows(shandong, "select digest from case_digest") == rows(
        shandong, "select digest from case_event"
    )


def _packed(events: Sequence[Event]) -> list[store_events.Packed]:
    return pack(store_events.Entry(one, store_events.body_json(one.body)) for one in events)


def _text(chance: random.Random) -> str:
    return "".join(chance.choices("甲乙丙丁戊己庚辛", k=chance.randint(1, 250)))


def _body(text: str) -> dict[str, object]:
    return {"title": "测试", "channel": "web", "received_at": 0, "text": text}
