"""The feed over a failover to an asynchronous standby, and back to the old server by mistake."""

from pathlib import Path

from psycopg2.extensions import make_dsn
from pydantic import SecretStr
from support.clusters import Cluster, cluster, standby
from support.feeds import Reader, write_events
from support.world import eventually, rows

from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import migrate
from node.runtime.settings import Settings

_CAUGHT_UP = """
    select count(*) = 1 and bool_and(replay_lsn = pg_current_wal_lsn()) from pg_stat_replication
"""


def at(server: Cluster) -> Settings:
    dsn = make_dsn(server.server.dsn, dbname="of_a_node")
    return stack_settings("370000").model_copy(update={"postgres_dsn": SecretStr(dsn)})


def test_a_reader_has_every_event_of_the_promoted_standby_and_of_the_old_server_if_it_comes_back(
    stack: LocalStack, tmp_path: Path
) -> None:
    reader = Reader()
    with cluster(tmp_path / "primary") as primary:
        primary.execute("create database of_a_node encoding 'UTF8' template template0")
        migrate(at(primary).dsn, "370000")
        with standby(primary, tmp_path / "standby") as follower:
            shared = write_events(at(primary), 6)
            eventually(lambda: rows(at(primary), _CAUGHT_UP) == [(True,)], "the standby follows")
            # A standby gives the feed of its primary, with cursors that hold at both.
            assert reader.read(at(follower)) == shared
            assert reader.read(at(primary)) == []
            follower.stop()
            late = write_events(at(primary), 8)
            assert reader.read(at(primary)) == late
            primary.kill()
            follower.start()
            follower.promote()

            new = write_events(at(follower), 5)
            assert set(new) <= set(reader.read(at(follower)))
            assert reader.restored == 1
            assert reader.read(at(follower)) == []

            # Two servers that both go on: whoever asks the one and then the other misses nothing.
            primary.start()
            beside = write_events(at(primary), 4)
            assert {*late, *beside} <= set(reader.read(at(primary)))
            further = write_events(at(follower), 3)
            assert set(further) <= set(reader.read(at(follower)))
