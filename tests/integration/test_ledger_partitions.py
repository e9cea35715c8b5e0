"""The ledger by month: an old ledger becomes the first part, every event has one place."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import make_dsn
from pydantic import SecretStr
from support.gate import confirm_database
from support.world import count, event, register, rows

from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres import connection as postgres
from node.postgres.connection import connect, connected, migrate
from node.postgres.schema_version import migrations
from node.queries.database_history import FeedPlace
from node.queries.feed import read_feed
from node.runtime.settings import Settings
from node.store import events as store_events
from node.store.write_events import pack
from schemas.event import Event

CASE = "110000-20260101-PART0000"
_BY_MONTH = 5  # the migration that makes the partitions
_PLACES = "select tableoid::regclass::text, event_id::text from case_event order by feed_id"


@pytest.fixture
def unmigrated(stack: LocalStack) -> Iterator[Settings]:
    """Shandong with a database in which nothing is."""
    name = sql.Identifier("test_before_partitions")
    with closing(psycopg2.connect(stack.postgres_dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("create database {}").format(name))
            dsn = make_dsn(stack.postgres_dsn, dbname=name.string)
            yield stack_settings("370000").model_copy(update={"postgres_dsn": SecretStr(dsn)})
            cursor.execute(sql.SQL("drop database {} with (force)").format(name))


def id_of(moment: datetime, tail: int = 1) -> str:
    """Return a UUIDv7 of that moment."""
    millis = int(moment.timestamp() * 1000)
    return str(UUID(int=millis << 80 | 0x7 << 76 | 0x8 << 60 | tail))


def months_ahead(number: int) -> datetime:
    """Return the middle of the month that is `number` months from now."""
    now = datetime.now(UTC)
    months = now.year * 12 + now.month - 1 + number
    return datetime(months // 12, months % 12 + 1, 15, tzinfo=UTC)


def place(number: int) -> str:
    """Return the partition of the month that is `number` months from now."""
    return f"case_event_{months_ahead(number):%Y_%m}"


def write(settings: Settings, *events: Event) -> list[str]:
    """Write events as one transaction; the ids of those that were new."""
    entries = [store_events.Entry(one, store_events.body_json(one.body)) for one in events]
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        return [one.event_id for one in store_events.write(cursor, pack(entries))]


def ensure(settings: Settings, months: int) -> int:
    """Make the months ahead; how many were missing."""
    query = "select ensure_event_partitions(now() + %s * interval '1 month')"
    return int(rows(settings, query, (months,))[0][0])


def plan(settings: Settings, query: str, *values: object) -> str:
    return "\n".join(line for (line,) in rows(settings, f"explain {query}", values))


def test_a_ledger_that_was_there_becomes_the_first_part_without_being_copied(
    unmigrated: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing with `insert into … select` in place of `attach partition`: another file."""
    shipped = migrations()
    earlier = [step for step in shipped if step.number < _BY_MONTH]
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "migrations", lambda: earlier)
        migrate(unmigrated.dsn, "370000")
    rows(unmigrated, "alter table case_event add column added_before bigint not null default 7")
    rows(unmigrated, "create index case_event_added on case_event (added_before)")
    usual, strange = id_of(months_ahead(-3)), str(UUID(int=uuid4().int | 0xF << 124))
    _write_as_then(unmigrated, usual, strange, id_of(months_ahead(2)))
    file = "select pg_relation_filenode(%s::regclass)"
    before = rows(unmigrated, file, ("case_event",)), _ordered(unmigrated)

    assert migrate(unmigrated.dsn, "370000") == [
        step.name for step in shipped if step.number >= _BY_MONTH
    ]
    assert migrate(unmigrated.dsn, "370000") == []
    assert (rows(unmigrated, file, ("case_event_first",)), _ordered(unmigrated)) == before
    assert [one for one, _ in rows(unmigrated, _PLACES)] == [
        *("case_event_first", "case_event_default", place(2))
    ]
    confirm_database(unmigrated.dsn)
    register(unmigrated)
    numbers = [one for (one,) in rows(unmigrated, "select feed_id from case_event order by 1")]
    assert numbers == [1, 2, 3, 4]
    assert rows(unmigrated, "select distinct added_before from case_event") == [(7,)]
    indexes = "select count(*) from pg_indexes where tablename = %s"
    assert rows(unmigrated, indexes, ("case_event",)) == rows(unmigrated, indexes, (place(2),))
    invalid = "select indexrelid::regclass::text from pg_index where not indisvalid"
    assert rows(unmigrated, invalid) == []


def _write_as_then(settings: Settings, *event_ids: str) -> None:
    """Rows as an earlier release wrote them: columns that came later are not known."""
    for place, event_id in enumerate(event_ids, 1):
        rows(
            settings,
            "insert into case_event (event_id, case_id, event_type, version, emitter, "
            "emitter_sequence, occurred_at, recorded_at, actor, rule_set, body, value, "
            "traceparent) values (%s, %s, 'x', %s, '110000', %s, now(), now(), 'a', 'XF2022', "
            "'{}', '\\x01', '')",
            (event_id, CASE, place, place),
        )


def _ordered(settings: Settings) -> list[tuple[object, ...]]:
    return rows(settings, "select feed_id, event_id::text, value from case_event order by feed_id")


def test_each_event_lies_in_its_month_and_a_repeat_anywhere_adds_nothing(
    shandong: Settings,
) -> None:
    moments = [months_ahead(1), months_ahead(-5), months_ahead(3), months_ahead(700)]
    events = [event(CASE, n, event_id=id_of(one)) for n, one in enumerate(moments, 1)]
    strange = event(CASE, 9, event_id=str(UUID(int=uuid4().int | 0xF << 124)))
    assert len(write(shandong, *events, strange, *events)) == 5
    assert write(shandong, *events, strange) == []
    parts = [place(1), "case_event_first", place(3), "case_event_default", "case_event_default"]
    assert [one for one, _ in rows(shandong, _PLACES)] == parts


def test_events_that_were_ahead_of_the_months_move_into_their_month_when_it_is_made(
    shandong: Settings,
) -> None:
    """Seen failing without the move: Postgres refuses to attach the month, for ever."""
    early = [event(CASE, n, event_id=id_of(months_ahead(6), n)) for n in (1, 2)]
    write(shandong, *early)
    before = _ordered(shandong)
    assert ensure(shandong, 7) == 4
    assert ensure(shandong, 7) == 0
    assert [one for one, _ in rows(shandong, _PLACES)] == [place(6)] * 2
    assert _ordered(shandong) == before
    assert count(shandong, "case_event_default") == 0


def test_a_node_that_stood_still_for_long_finds_no_month_left_out(shandong: Settings) -> None:
    assert ensure(shandong, 30) == 27
    ends = rows(
        shandong,
        "select min(low), max(high), count(*), count(distinct low) from (select "
        "(regexp_match(bound, 'FROM .''(.*?)''.'))[1] low, "
        "(regexp_match(bound, 'TO .''(.*?)''.'))[1] high "
        "from (select pg_get_expr(relpartbound, c.oid) bound from pg_class c join pg_inherits i "
        "on inhrelid = c.oid where inhparent = 'case_event'::regclass) b) p where low is not null",
    )
    gaps = (
        "select count(*) from generate_series(1, 30) n where to_regclass('case_event_' || "
        "to_char(date_trunc('month', now() at time zone 'UTC') + n * interval '1 month', "
        "'YYYY_MM')) is null"
    )
    assert ends[0][2:] == (30, 30)
    assert rows(shandong, gaps) == [(0,)]


def test_two_processes_that_make_months_at_once_make_each_once(shandong: Settings) -> None:
    """Seen failing without `lock table case_event`: both make the same, one of them fails."""
    made: list[int] = []
    gate = threading.Barrier(4)

    def make() -> None:
        gate.wait()
        made.append(ensure(shandong, 24))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 0, 0, 21]


def test_one_event_is_looked_for_in_one_part_and_the_feed_reads_each_by_its_index(
    shandong: Settings,
) -> None:
    by_id = plan(shandong, "select * from case_event where event_id = %s", id_of(months_ahead(1)))
    assert place(1) in by_id
    assert "case_event_first" not in by_id
    feed = plan(
        shandong,
        "select feed_id from case_event where (applied_xid, feed_id) > ('1'::xid8, 0) and "
        "applied_xid < pg_snapshot_xmin(pg_current_snapshot()) order by applied_xid, feed_id "
        "limit 10",
    )
    assert "Merge Append" in feed
    assert "Seq Scan" not in feed
    assert feed.count("Index Only Scan") == 5  # first, three months, default


def test_the_feed_gives_events_of_all_parts_in_the_order_of_their_commit(
    shandong: Settings,
) -> None:
    moments = [months_ahead(number) for number in (3, -2, 1, 90, 0, 2)]
    sent = [event(CASE, n, event_id=id_of(one)) for n, one in enumerate(moments, 1)]
    for one in sent:
        write(shandong, one)
    after, found = FeedPlace(), []
    with closing(connect(shandong.dsn, "test")) as connection:
        for _ in range(3):
            page = read_feed(connection, after, 2)
            found += [one["event_id"] for one in page.rows]
            after = page.end
    assert found == [one.event_id for one in sent]
