"""Postgres clusters of a test's own: stopped, copied, put back, followed by a standby."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn
from support.world import WAIT_SECONDS, eventually

from node.localstack import postgres, process
from node.localstack.account import run_as_owner
from node.localstack.binaries import binary_folder
from node.localstack.ports import free_port
from node.localstack.state import Postgres


class Cluster(NamedTuple):
    """A server with its own data folder."""

    server: Postgres

    @property
    def data(self) -> Path:
        """Return its data folder."""
        return Path(self.server.folder) / "data"

    def dsn(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        return make_dsn(self.server.dsn, dbname=database)

    def start(self) -> None:
        """Make it if need be, start it, and wait until it takes connections."""
        postgres.start(self.server)

    def stop(self) -> None:
        """Shut it down cleanly, if it runs."""
        postgres.stop(Path(self.server.folder))

    def kill(self) -> None:
        """End it at once, as a lost machine would."""
        pid = postgres.find(Path(self.server.folder))
        assert pid is not None
        assert process.end(pid, "postgres", str(self.data), signal.SIGQUIT, WAIT_SECONDS)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute a statement outside a transaction; return its rows."""
        with closing(psycopg2.connect(self.dsn(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def promote(self) -> None:
        """Make the standby a primary."""
        self.execute("select pg_promote()")
        eventually(
            lambda: self.execute("select pg_is_in_recovery()") == [(False,)], "it is promoted"
        )

    def back_up(self) -> Path:
        """Copy its files while it is stopped; it runs again afterwards."""
        self.stop()
        backup = self.data.with_name("backup")
        shutil.rmtree(backup, ignore_errors=True)
        run("cp", "-a", str(self.data), str(backup))
        self.start()
        return backup

    def put_back(self, backup: Path) -> None:
        """Replace its files by these; it runs again afterwards."""
        self.stop()
        shutil.rmtree(self.data)
        run("cp", "-a", str(backup), str(self.data))
        self.start()

    def program(self, name: str) -> str:
        """Return the path of one of Postgres' programs."""
        return str(binary_folder(None) / name)


def use_transactions(dsn: str, number: int) -> None:
    """Advance the server's transaction counter by `number`."""
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                f"do $$ begin for n in 1..{number} loop "
                "perform pg_current_xact_id(); commit; end loop; end $$"
            )


def run(*command: str) -> None:
    """Run a program as the user that owns the servers."""
    done = run_as_owner(command)
    assert done.returncode == 0, done.stderr


def dump_into(source: str, target: str, program: Callable[[str], str]) -> None:
    """Dump one database into another, which is empty."""
    dump = subprocess.run(
        [program("pg_dump"), "-Fc", "-d", source], capture_output=True, check=True
    )
    subprocess.run([program("pg_restore"), "-d", target], input=dump.stdout, check=True)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a new cluster in `folder`; remove it after the block."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Cluster(postgres.chosen(None, folder, set()))
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.server.folder, ignore_errors=True)


@contextmanager
def standby(primary: Cluster, folder: Path) -> Iterator[Cluster]:
    """Run an asynchronous standby of `primary`."""
    folder.mkdir(parents=True, exist_ok=True)
    home = postgres.chosen(None, folder, set()).folder
    parts = parse_dsn(primary.server.dsn)
    port = free_port(set())
    place = {"folder": home, "port": port, "dsn": make_dsn(primary.server.dsn, port=port)}
    made = Cluster(primary.server.model_copy(update=place))
    address = make_dsn(**{name: parts[name] for name in ("host", "port", "user", "password")})
    try:
        run(primary.program("pg_basebackup"), "-d", address, "-D", str(made.data), "-R", "-X",
            "stream", "-c", "fast")  # fmt: skip
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(home, ignore_errors=True)


def dsn_of_both(*clusters: Cluster, database: str) -> str:
    """Return one DSN with the hosts of all: the one that takes writes is used."""
    places = [parse_dsn(one.server.dsn) for one in clusters]
    return make_dsn(
        clusters[0].dsn(database),
        host=",".join(place["host"] for place in places),
        port=",".join(place["port"] for place in places),
        target_session_attrs="read-write",
    )


def cut_off(primary: Cluster, standby: Cluster) -> None:
    """Let the standby receive nothing more of what the primary commits."""
    standby.execute("alter system set primary_conninfo = ''")
    standby.execute("select pg_reload_conf()")
    eventually(
        lambda: primary.execute("select count(*) from pg_stat_replication") == [(0,)],
        "nobody streams from the primary",
    )
