"""The feed: everything this node has applied, once, in commit order, and nothing skipped."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from support.web import client_of, new_case
from support.world import do, event, eventually, register, rows

from node.postgres.connection import Connection, connect
from node.runtime.settings import Settings
from node.store import events
from node.store.write_events import pack


@pytest.fixture
def client(shandong: Settings) -> Iterator[httpx.Client]:
    with client_of(shandong) as made:
        yield made


def page(client: httpx.Client, after: str | None = None, limit: int = 100) -> Any:
    """Return a page of the feed."""
    query = {"limit": limit} | ({"after": after} if after else {})
    answer = client.get("/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def write(connection: Connection, case_id: str) -> str:
    """Write an event in the open transaction of `connection`; return its id."""
    one = event(case_id)
    with connection.cursor() as cursor:
        events.write(cursor, pack([events.Entry(one, events.body_json(one.body))]))
    return one.event_id


def ids(found: Any) -> list[str]:
    return [one["id"] for one in found["items"]]


def test_an_empty_feed_gives_a_place_to_ask_on_from(client: httpx.Client) -> None:
    empty = page(client)
    assert empty["items"] == []
    case_id = new_case(client)
    (found,) = page(client, empty["next"])["items"]
    assert (found["subject"], found["type"]) == (case_id, "petition.case.registered.v1")


def test_pages_follow_each_other_and_the_end_stays_put(
    client: httpx.Client, shandong: Settings
) -> None:
    case_id = register(shandong)
    do(shandong, "accept", case_id=case_id)
    do(shandong, "progress", case_id=case_id, progress="在办")
    whole = ids(page(client))
    assert len(whole) == 3
    found: list[Any] = []
    after = None
    while len(found) < 3:
        one = page(client, after, limit=1)
        found += ids(one)
        after = one["next"]
    assert found == whole
    assert page(client, after) == {"items": [], "next": after, "restored": False}


def test_an_event_that_commits_after_a_later_one_is_not_skipped(
    client: httpx.Client, shandong: Settings
) -> None:
    before = page(client)["next"]
    with (
        closing(connect(shandong.dsn, "test")) as slow,
        closing(connect(shandong.dsn, "t")) as fast,
    ):
        first = write(slow, "110000-20260401-AAAAAAAA")
        second = write(fast, "110000-20260401-BBBBBBBB")
        fast.commit()
        # The later one is committed, but the feed does not run ahead of the earlier one.
        waiting = page(client, before)
        assert ids(waiting) == []
        slow.commit()
    assert ids(page(client, waiting["next"])) == [first, second]


def test_what_is_rolled_back_holds_up_nothing(client: httpx.Client, shandong: Settings) -> None:
    with (
        closing(connect(shandong.dsn, "test")) as one,
        closing(connect(shandong.dsn, "t")) as other,
    ):
        write(one, "110000-20260401-AAAAAAAA")
        second = write(other, "110000-20260401-BBBBBBBB")
        other.commit()
        one.rollback()
    assert ids(page(client)) == [second]


def test_a_reader_beside_many_writers_sees_each_event_once(
    client: httpx.Client, shandong: Settings
) -> None:
    def work(number: int) -> None:
        with closing(connect(shandong.dsn, "test")) as connection:
            for turn in range(15):
                write(connection, f"110000-20260401-{number}-{turn}")
                connection.commit() if turn % 4 else connection.rollback()

    writers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    seen: list[str] = []
    after: str | None = None
    # A page may be empty while rows wait: any open transaction of the cluster holds the feed back.

    def all_seen() -> bool:
        nonlocal after
        found = page(client, after, limit=3)
        seen.extend(ids(found))
        after = found["next"]
        return len(seen) >= 4 * 11

    eventually(all_seen, "the feed has every event")
    for writer in writers:
        writer.join()
    seen += ids(page(client, after))
    written = [one for (one,) in rows(shandong, "select event_id::text from case_event")]
    assert len(seen) == len(set(seen)) == 4 * 11
    assert set(seen) == set(written)


def test_an_event_of_an_unknown_type_is_passed_on_as_it_is(
    client: httpx.Client, shandong: Settings
) -> None:
    register(shandong)
    rows(
        shandong, "update case_event set event_type = 'petition.case.sung.v1', body = '{\"a\": 1}'"
    )
    (found,) = page(client)["items"]
    assert (found["type"], found["data"]) == ("petition.case.sung.v1", {"a": 1})


FOREIGN_CURSORS = [
    "x",
    "WyJjYXNlcyIsbnVsbCwiYSJd",  # of the list of cases
    "WyJmZWVkLTExMDAwMCIsMCwwXQ",  # of Beijing's feed
    "WyJmZWVkLTM3MDAwMCIsLTEsMF0",  # a negative transaction
    "WyJmZWVkLTM3MDAwMCIsdHJ1ZSwwXQ",  # true
    "WyJmZWVkLTM3MDAwMCIsMTg0NDY3NDQwNzM3MDk1NTE2MTYsMF0",  # 2 to the 64
    "A" * 301,
]


def test_a_cursor_of_something_else_is_refused(client: httpx.Client) -> None:
    for after in FOREIGN_CURSORS:
        answer = client.get("/v1/events", params={"after": after})
        assert answer.status_code == 422, after
        assert "after" in answer.json()["detail"]


def test_the_largest_cursor_is_an_end(client: httpx.Client) -> None:
    largest = "WyJmZWVkLTM3MDAwMCIsMTg0NDY3NDQwNzM3MDk1NTE2MTUsMF0"  # 2 to the 64, less one
    assert page(client, largest)["items"] == []
