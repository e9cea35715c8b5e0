"""Housekeeping: what is pruned and what is never, partitions ahead, nobody waits for long."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest
from support.world import count, register, rows

from node.keys.office import open_office
from node.postgres.connection import connect, connected
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from node.store import retention
from producers.routines.retention import Housekeeping

TOPIC = "petition.uplink.370000"
_AT = "now() - %s * interval '1 day'"


@pytest.fixture
def province_with_retention(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with an empty database; thirty and 180 days, as shipped."""
    settings = fresh_settings("370000")
    _make_sure(settings)
    return settings


def _make_sure(settings: Settings) -> None:
    rows(
        settings,
        "create table if not exists receipt (topic text, partition integer, next_offset bigint, "
        "applied_at timestamptz, primary key (topic, partition, next_offset)); "
        "alter table dead_letter add column if not exists resolved_at timestamptz",
    )


def turn(settings: Settings) -> float:
    """Do one round, as the worker does it."""
    with connected(settings.dsn, "test") as connection:
        return Housekeeping(settings).round(connection, open_office(settings), Stop())


def publish(
    settings: Settings, days_ago: float, offsets: Sequence[int], partition: int = 0
) -> None:
    """Write outbox rows that were published `days_ago` days ago at these offsets."""
    rows(
        settings,
        "insert into outbox (topic, case_id, event_id, enqueued_at, published_at, partition, "
        f"\"offset\") select %s, 'c', gen_random_uuid(), {_AT}, {_AT}, %s, unnest(%s)",
        (TOPIC, days_ago, days_ago, partition, [*offsets]),
    )


def confirm(settings: Settings, next_offset: int, days_ago: float = 0, partition: int = 0) -> None:
    """Write a receipt of the destination."""
    values = (TOPIC, partition, next_offset, days_ago)
    rows(
        settings,
        "insert into receipt (topic, partition, next_offset, applied_at) "
        f"values (%s, %s, %s, {_AT})",
        values,
    )


def left(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(settings, 'select partition, "offset" from outbox order by 1, 2')


def test_published_rows_go_when_they_are_old_and_their_destination_has_confirmed_them(
    province_with_retention: Settings,
) -> None:
    """Seen failing without `exists (select from receipt …)`: what nobody confirmed was gone."""
    publish(province_with_retention, 31, [1, 2, 3])
    publish(province_with_retention, 31, [1], partition=1)
    publish(province_with_retention, 29, [4])
    register(province_with_retention)
    rows(
        province_with_retention,
        "update outbox set enqueued_at = now() - interval '1 year' where partition is null",
    )
    confirm(province_with_retention, 3)
    turn(province_with_retention)
    assert left(province_with_retention) == [(0, 3), (0, 4), (1, 1), (None, None)]
    confirm(province_with_retention, 9)
    confirm(province_with_retention, 2, partition=1)
    turn(province_with_retention)
    assert left(province_with_retention) == [(0, 4), (None, None)]


def test_a_month_of_rows_goes_in_batches_and_a_stop_is_noticed_between_them(
    province_with_retention: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 10)
    publish(province_with_retention, 40, range(0, 60, 2))
    publish(province_with_retention, 2, range(1, 60, 2))
    confirm(province_with_retention, 31)
    keep, stop = retention.Retention(30, 180), Stop()
    with connected(province_with_retention.dsn, "test") as connection:
        stop.set()
        assert retention.prune(connection, keep, stop) == (0, 0, 0)
        stop.clear()
        assert retention.prune(connection, keep, stop) == (16, 0, 0)
    assert count(province_with_retention, "outbox") == 44


def test_receipts_go_when_they_are_old_but_never_the_newest_of_a_partition(
    province_with_retention: Settings,
) -> None:
    """Seen failing without `newer`: with the last receipt nothing counted as confirmed any more."""
    for next_offset, days_ago in ((5, 60), (9, 45), (12, 31)):
        confirm(province_with_retention, next_offset, days_ago)
    confirm(province_with_retention, 5, 60, partition=1)
    confirm(province_with_retention, 7, 1, partition=1)
    confirm(province_with_retention, 6, 2, partition=1)
    turn(province_with_retention)
    kept = rows(province_with_retention, "select partition, next_offset from receipt order by 1, 2")
    assert kept == [(0, 12), (1, 6), (1, 7)]


def test_resolved_dead_letters_go_after_half_a_year_and_open_ones_and_the_audit_never(
    province_with_retention: Settings,
) -> None:
    """Seen failing without `status <> 'open'`: a letter that was opened again was gone."""
    letters = [("open", 400), ("replayed", 181), ("discarded", 200), ("discarded", 179)]
    for offset, (status, days_ago) in enumerate(letters):
        rows(
            province_with_retention,
            'insert into dead_letter (topic, partition, "offset", headers, recorded_at, reason, '
            "detail, status, created_at, resolved_at) values "
            f"(%s, 0, %s, '[]', now(), 'x', '', %s, now() - interval '900 days', {_AT})",
            (TOPIC, offset, status, days_ago),
        )
    rows(
        province_with_retention,
        "insert into audit_log (at, actor, action) values (now() - interval '9 years', 'a', 'b')",
    )
    turn(province_with_retention)
    assert rows(province_with_retention, 'select "offset" from dead_letter order by 1') == [
        (0,),
        (3,),
    ]
    assert count(province_with_retention, "audit_log") == 1


def test_months_are_made_ahead_every_hour_and_the_ledger_is_analysed_once_a_day(
    province_with_retention: Settings,
) -> None:
    months = "select count(*) from pg_inherits where inhparent = 'case_event'::regclass"
    (last,) = rows(
        province_with_retention,
        "select max(inhrelid::regclass::text) from pg_inherits "
        "where inhparent = 'case_event'::regclass and inhrelid::regclass::text ~ '\\d'",
    )[0]
    rows(province_with_retention, f"drop table {last}")
    before = rows(province_with_retention, months)[0][0]
    assert turn(province_with_retention) == 3600
    assert rows(province_with_retention, months) == [(before + 1,)]
    register(province_with_retention)
    with connected(province_with_retention.dsn, "test") as connection:
        assert not retention.analyse_ledger(connection)
    assert rows(
        province_with_retention, "select count(*) from pg_stats where tablename = 'case_event'"
    ) == [(0,)]
    rows(province_with_retention, "select pg_stat_reset()")
    turn(province_with_retention)
    assert rows(
        province_with_retention, "select count(*) > 9 from pg_stats where tablename = 'case_event'"
    ) == [(True,)]


def test_a_transaction_that_holds_the_ledger_for_long_delays_the_months_and_nobody_else(
    province_with_retention: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing without lock_timeout: the round waits, and every reader after it."""
    monkeypatch.setattr(retention, "_LOCK_WAIT", "200ms")
    monkeypatch.setattr(
        retention, "_MAKE_AHEAD", "select ensure_event_partitions(now() + interval '9 months')"
    )
    publish(province_with_retention, 31, [1])
    confirm(province_with_retention, 2)
    with closing(connect(province_with_retention.dsn, "test")) as reader, reader.cursor() as cursor:
        cursor.execute("select count(*) from case_event")
        # Without a limit the round would wait for ever.
        cursor.execute("set local idle_in_transaction_session_timeout = '30s'")
        assert turn(province_with_retention) < 3600
        register(province_with_retention)
        # Still in its transaction: neither the round nor the writer has waited for its end.
        cursor.execute("select 1")
    assert left(province_with_retention) == [(None, None)]
    assert turn(province_with_retention) == 3600


_SLOW = """
    create function slow() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.02); return old; end $$;
    create trigger slow before delete on outbox for each row execute function slow()
"""


def test_what_takes_longer_than_statement_timeout_is_pruned_in_smaller_batches(
    province_with_retention: Settings,
) -> None:
    """Seen failing with batches of one size: the routine ended, nothing was pruned."""
    publish(province_with_retention, 40, range(60))
    confirm(province_with_retention, 60)
    rows(province_with_retention, _SLOW)
    keep = retention.Retention(30, 180)
    with closing(connect(province_with_retention.dsn, "test")) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("set statement_timeout = '300ms'")
        assert retention.prune(connection, keep, Stop()).outbox == 60
    assert left(province_with_retention) == []
