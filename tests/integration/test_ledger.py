"""The ledger 事件账 on a real Postgres: what a batch writes, in which order the feed gives it."""

from __future__ import annotations

import random
from collections.abc import Callable

from support.world import event, rows

from node import ledger
from node.postgres import connected
from node.settings import Settings

FEED = "select event_id::text from case_event order by applied_xid, feed_id"


def test_the_events_of_a_batch_stand_in_the_feed_in_the_order_in_which_they_came(
    fresh_settings: Callable[..., Settings],
) -> None:
    """Seen failing with feed numbers given on the way from the temporary table to the ledger: a
    small row fills up a page that a large one before it had no room on."""
    shandong = fresh_settings("370000")
    chance = random.Random(20261125)
    made = [event(f"110000-{n}", body=_body(_text(chance))) for n in range(1200)]
    with connected(shandong.dsn, "test") as connection:
        for at in range(0, len(made), 400):  # the table is only used again in the second
            entries = [ledger.Entry(one, ledger.body_json(one.body)) for one in made[at : at + 400]]
            with connection, connection.cursor() as cursor:
                assert len(ledger.write(cursor, entries)) == len(entries)
    assert [event_id for (event_id,) in rows(shandong, FEED)] == [one.event_id for one in made]


def _text(chance: random.Random) -> str:
    return "".join(chance.choices("甲乙丙丁戊己庚辛", k=chance.randint(1, 250)))


def _body(text: str) -> dict[str, object]:
    return {"title": "测试", "channel": "web", "received_at": 0, "text": text}
