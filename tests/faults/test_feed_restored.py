"""The feed over a restore: what a reader has not seen is never skipped."""

from collections.abc import Callable, Iterator

import pytest
from psycopg2.extensions import make_dsn, parse_dsn
from pydantic import SecretStr
from support.backups import Backup, lose_database
from support.clusters import Cluster, cluster, dump_into, use_transactions
from support.feeds import Reader, write_events
from support.web import client_of
from support.world import rows

from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import migrate
from node.queries.database_history import UnknownHistory
from node.runtime.settings import Settings


@pytest.fixture
def fresh_province(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with a database of its own."""
    return fresh_settings("370000")


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of its own, younger than the stack's."""
    with cluster(tmp_path_factory.mktemp("server")) as made:
        yield made


def settings_at(server: Cluster, database: str) -> Settings:
    """Shandong with a new, empty database on a server of the test's."""
    server.execute(f"create database {database} encoding 'UTF8' template template0")
    dsn = SecretStr(server.dsn(database))
    return stack_settings("370000").model_copy(update={"postgres_dsn": dsn})


def newest_transaction(settings: Settings) -> int:
    return int(rows(settings, "select pg_current_xact_id()::text")[0][0])


def test_a_dump_loaded_into_a_younger_server_is_read_on_and_from_the_start(
    fresh_settings: Callable[..., Settings], stack: LocalStack, other_server: Cluster
) -> None:
    """Its rows have numbers of transactions that this server has not come to."""
    lost, reader = fresh_settings("370000"), Reader()
    restored = settings_at(other_server, "from_dump")
    use_transactions(stack.postgres_dsn, 3000)
    before = write_events(lost, 20)
    assert reader.read(lost) == before
    dump_into(lost.dsn, restored.dsn, other_server.program)
    assert newest_transaction(restored) < newest_transaction(lost) - 1000

    new = write_events(restored, 5)
    assert reader.read(restored) == new
    assert reader.restored == 0
    assert Reader().read(restored) == [*before, *new]


def test_files_put_back_give_numbers_again_and_the_reader_has_every_new_event(
    other_server: Cluster, stack: LocalStack
) -> None:
    """A cursor beyond the backup would pass the events that get the numbers of lost ones."""
    settings, reader = settings_at(other_server, "from_files"), Reader()
    migrate(settings.dsn, settings.node)
    kept = write_events(settings, 5)
    backup = other_server.back_up()
    lost = write_events(settings, 15)
    assert reader.read(settings) == [*kept, *lost]
    numbers = rows(settings, "select applied_xid, feed_id from case_event")

    other_server.put_back(backup)
    new = write_events(settings, 12)
    again = rows(settings, "select applied_xid, feed_id from case_event")
    assert {xid for xid, _ in numbers[5:]} & {xid for xid, _ in again[5:]}, "numbers come again"
    assert set(new) <= set(reader.read(settings))
    assert reader.restored == 1
    assert reader.read(settings) == []
    assert Reader().read(settings) == [*kept, *new]


def test_a_database_copied_back_is_read_on(stack: LocalStack, fresh_province: Settings) -> None:
    backed_up, reader = write_events(fresh_province, 3), Reader()
    backup = Backup(stack, fresh_province)
    write_events(fresh_province, 4)
    reader.read(fresh_province)
    backup.put_back()
    new = write_events(fresh_province, 5)
    assert reader.read(fresh_province) == new
    assert Reader().read(fresh_province) == [*backed_up, *new]


def test_a_cursor_of_a_database_that_is_lost_is_answered_with_gone_and_the_way_on(
    stack: LocalStack, fresh_province: Settings
) -> None:
    write_events(fresh_province, 2)
    with client_of(fresh_province) as client:
        after = client.get("/v1/events").json()["next"]
    lose_database(stack, fresh_province)
    new = write_events(fresh_province, 3)
    with client_of(fresh_province) as client:
        answer = client.get("/v1/events", params={"after": after})
        assert answer.status_code == 410
        assert answer.json()["rule"] == "gone"
        assert "without `after`" in answer.json()["detail"]
        assert [one["id"] for one in client.get("/v1/events").json()["items"]] == new


def test_an_old_connection_that_writes_after_a_restore_notes_the_epoch_first(
    fresh_province: Settings,
) -> None:
    """The trigger does it, for whoever did not connect through our own checks."""
    rows(fresh_province, "update feed_epoch set postmaster_started = now() - interval '1 day'")
    before = rows(fresh_province, "select count(*) from feed_epoch")[0][0]
    write_events(fresh_province, 2)
    assert rows(fresh_province, "select count(*) from feed_epoch") == [(before + 1,)]
    newest = "select first_xid from feed_epoch order by number desc limit 1"
    after = f"select min(applied_xid) >= ({newest}) from case_event"
    assert rows(fresh_province, after) == [(True,)]


def test_a_role_without_privileges_of_its_own_may_do_what_the_feed_needs(
    other_server: Cluster,
) -> None:
    other_server.execute("create role clerk login password 'clerk'")
    settings = settings_at(other_server, "of_a_clerk")
    other_server.execute("alter database of_a_clerk owner to clerk")
    other_server.execute("alter schema public owner to clerk", "of_a_clerk")
    dsn = make_dsn(settings.dsn, user="clerk", password="clerk")
    mine = settings.model_copy(update={"postgres_dsn": SecretStr(dsn)})
    assert parse_dsn(mine.dsn)["user"] == "clerk"
    migrate(mine.dsn, mine.node)
    written = write_events(mine, 2)
    assert Reader().read(mine) == written


def test_a_place_with_nothing_in_common_is_told_from_an_empty_feed(
    fresh_province: Settings, fresh_settings: Callable[..., Settings], stack: LocalStack
) -> None:
    reader = Reader()
    reader.read(fresh_province)
    lose_database(stack, fresh_province)
    with pytest.raises(UnknownHistory):
        reader.read(fresh_province)
