"""Processes and migrations of two releases at one database: a clear word, before any write."""

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from support.cli import as_environment, in_process, petitionlink, refused
from support.world import (
    WAIT_SECONDS,
    count,
    ended_with,
    event,
    eventually,
    register,
    rows,
    running,
)

from node.keys.office import open_office
from node.localstack import LocalStack
from node.localstack.ports import free_port
from node.postgres import connection as postgres
from node.postgres import schema_version as postgres_schema_version
from node.postgres.connection import connect, migrate, own_connected
from node.postgres.schema_version import Migration, schema_version
from node.queries.database_gauges import Observer
from node.runtime.errors import Fatal, OtherRelease, classified
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store import events
from node.store.write_events import pack
from producers.commands.handle import handle
from producers.commands.parse import parse
from producers.relay.relay import Relay

_NEXT = Migration(9999, "9999_next.sql", "create table of_next_release (n integer)", "digest")


@pytest.fixture
def fresh_province(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with a database of its own, which is not of use afterwards."""
    return fresh_settings("370000")


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`migrate` as the next release does it, which has one migration more."""

    def run(settings: Settings, wait_seconds: float = 0.5) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setattr(
                postgres, "migrations", lambda: (*postgres_schema_version.migrations(), _NEXT)
            )
            return migrate(settings.dsn, settings.node, wait_seconds)

    return run


def write(connection: Any, number: int = 1) -> None:
    """Write an event into the ledger, in the open transaction."""
    one = event(f"110000-20260401-RELEASE{number}")
    with connection.cursor() as cursor:
        events.write(cursor, pack([events.Entry(one, events.body_json(one.body))]))


def test_migrate_names_the_processes_that_still_run_and_changes_nothing(
    fresh_province: Settings, next_release: Callable[..., list[str]]
) -> None:
    with (
        closing(connect(fresh_province.dsn, "relay")),
        closing(connect(fresh_province.dsn, "consumer")),
    ):
        with pytest.raises(Fatal, match=r"petitionlink-consumer .*petitionlink-relay .*stop them"):
            next_release(fresh_province)
        assert rows(fresh_province, "select to_regclass('of_next_release')") == [(None,)]
        assert migrate(fresh_province.dsn, "370000") == []  # nothing to do: nobody is asked
    assert next_release(fresh_province) == ["9999_next.sql"]


def test_migrate_goes_on_as_soon_as_the_last_process_has_ended(
    fresh_province: Settings, next_release: Callable[..., list[str]]
) -> None:
    relay = connect(fresh_province.dsn, "relay")
    looks = "select count(*) from pg_stat_activity where application_name = 'petitionlink-migrate'"
    done: list[list[str]] = []
    migrating = threading.Thread(target=lambda: done.append(next_release(fresh_province, 30.0)))
    migrating.start()
    with closing(psycopg2.connect(fresh_province.dsn)) as other, other.cursor() as cursor:
        other.autocommit = True

        def is_there() -> bool:
            cursor.execute(looks)
            return bool(cursor.fetchall()[0][0])

        eventually(is_there, "migrate has come")
    relay.close()
    migrating.join(WAIT_SECONDS)
    assert done == [["9999_next.sql"]]


def test_a_connection_that_outlives_a_migration_writes_nothing_more(
    fresh_province: Settings, next_release: Callable[..., list[str]]
) -> None:
    office, command = (
        open_office(fresh_province),
        {"command": "register", "title": "供暖", "channel": "web"},
    )
    with (
        closing(connect(fresh_province.dsn, "hidden")) as mine,
        closing(psycopg2.connect(fresh_province.dsn)) as by,
    ):
        # As if it had come after the look of `migrate`: it is known by its expected version alone.
        with mine, mine.cursor() as cursor:
            cursor.execute("set application_name = 'hidden'")
        next_release(fresh_province)
        with mine, mine.cursor() as cursor:
            cursor.execute("set application_name = 'petitionlink-hidden'")
        with pytest.raises(psycopg2.Error) as caught:
            handle(mine, office, parse(command, office))
        known = classified(caught.value)
        assert isinstance(known, OtherRelease)
        assert "the database is at migration 9999" in str(known)
        assert f"of a release with migration {schema_version()}" in str(known)
        # A person at psql is not a process of another release.
        with by, by.cursor() as cursor:
            cursor.execute("select count(*) from case_event")
            assert cursor.fetchone() == (0,)
            cursor.execute("update node_state set recovering_since = recovering_since")
    assert count_of(fresh_province, "case_event") == 0


def count_of(settings: Settings, table: str) -> int:
    with closing(psycopg2.connect(settings.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {table}")
        return int(cursor.fetchall()[0][0])


def test_a_process_of_a_release_without_versions_is_refused_by_its_name(
    fresh_province: Settings,
) -> None:
    older = psycopg2.connect(fresh_province.dsn, application_name="petitionlink-consumer")
    with closing(older):
        with pytest.raises(psycopg2.Error) as caught:
            write(older)
        assert caught.value.pgcode == "PL001"
        older.rollback()
        with pytest.raises(psycopg2.Error) as caught, older.cursor() as cursor:
            cursor.execute("update consumer_offset set next_offset = 1")
        assert "migration before 12" in str(caught.value)
    with closing(psycopg2.connect(fresh_province.dsn)) as person:
        write(person)
        person.commit()
    assert count(fresh_province, "case_event") == 1


def test_a_migration_waits_for_a_transaction_that_has_written(
    fresh_province: Settings, next_release: Callable[..., list[str]]
) -> None:
    with closing(psycopg2.connect(fresh_province.dsn, application_name="psql")) as writer:
        write(writer)
        done: list[list[str]] = []
        migrating = threading.Thread(target=lambda: done.append(next_release(fresh_province)))
        migrating.start()
        waits = (
            "select count(*) from pg_locks where not granted and relation = 'case_event'::regclass"
        )
        with closing(psycopg2.connect(fresh_province.dsn)) as other, other.cursor() as cursor:
            other.autocommit = True

            def is_waiting() -> bool:
                cursor.execute(waits)
                return bool(cursor.fetchall()[0][0])

            eventually(is_waiting, "migrate waits for the writer")
        assert done == []
        writer.commit()
        migrating.join(WAIT_SECONDS)
    assert done == [["9999_next.sql"]]


def test_every_table_that_processes_write_is_guarded(fresh_province: Settings) -> None:
    unguarded = rows(
        fresh_province,
        "select relname from pg_class c where relkind in ('r', 'p') and not relispartition "
        "and relnamespace = 'public'::regnamespace and not exists (select from pg_trigger "
        "where tgrelid = c.oid and tgname = 'only_this_release') order by 1",
    )
    assert [name for (name,) in unguarded] == [
        *("case_clock", "case_evaluation", "case_supervision"),  # replaced by a rebuild
        *("feed_epoch", "petition_case", "schema_migration"),
    ]


def migrated_by_hand(settings: Settings) -> None:
    """Leave what the next release leaves, beside processes that it did not see."""
    rows(
        settings,
        "insert into schema_migration (number, name, digest) values (9999, 'next', '');"
        "select guard_against_other_releases(9999)",
    )


def test_a_relay_beside_a_new_database_ends_with_a_clear_word(
    empty_topics: LocalStack, fresh_province: Settings
) -> None:
    metrics = Metrics()
    register(fresh_province)
    pending = "select count(*) from outbox where published_at is null"
    with running(Relay(fresh_province, metrics), metrics) as ended:
        eventually(lambda: rows(fresh_province, pending) == [(0,)], "the relay works")
        migrated_by_hand(fresh_province)
        office = open_office(fresh_province)
        with closing(connect(fresh_province.dsn, "next", version=9999)) as new:
            handle(
                new, office, parse({"command": "register", "title": "停", "channel": "web"}, office)
            )
        assert "the database is at migration 9999" in ended_with(ended)


def test_a_process_that_only_reads_notices_the_migration_too(fresh_province: Settings) -> None:
    metrics = Metrics()
    with running(Observer(fresh_province, metrics), metrics) as ended:
        eventually(lambda: not ended and is_observed(fresh_province), "the observer looks")
        migrated_by_hand(fresh_province)
        assert "made by a newer release" in ended_with(ended)


def is_observed(settings: Settings) -> bool:
    query = (
        "select count(*) from pg_stat_activity where application_name = 'petitionlink-observer' "
    )
    return bool(rows(settings, query + "and datname = current_database()")[0][0])


COMMANDS = (
    ("status",),
    ("command", "-"),
    ("recover",),
    ("rebuild",),
    ("deadletters", "list"),
)


@pytest.fixture
def unmigrated(fresh_province: Settings) -> Settings:
    """A database of the release before."""
    rows(fresh_province, "delete from schema_migration where number = %s", (schema_version(),))
    return fresh_province


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_new_release_on_an_unmigrated_database_says_run_migrate(
    unmigrated: Settings, arguments: tuple[str, ...]
) -> None:
    done = in_process(*arguments, settings=as_environment(unmigrated))
    assert "then run `petitionlink migrate`" in refused(done)


def test_a_node_of_a_new_release_on_an_unmigrated_database_ends_and_says_run_migrate(
    unmigrated: Settings,
) -> None:
    ports = {"http_port": free_port(), "metrics_port": free_port()}
    done = petitionlink("run", settings=as_environment(unmigrated.model_copy(update=ports)))
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(
        "error: the database of node 370000 is at migration"
    )
    assert "Traceback" not in done.err


def test_an_old_release_on_a_newer_database_says_so(fresh_province: Settings) -> None:
    migrated_by_hand(fresh_province)
    with (
        pytest.raises(OtherRelease, match="made by a newer release"),
        own_connected(fresh_province, "x"),
    ):
        """Refused before this."""
    with pytest.raises(Fatal, match="does not know"):
        migrate(fresh_province.dsn, fresh_province.node)
