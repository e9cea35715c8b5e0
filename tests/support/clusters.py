"""Postgres clusters of a test's own: stopped, copied, put back, followed by a standby."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn
from support.world import WAIT_SECONDS

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
        """Its data folder."""
        return Path(self.server.folder) / "data"

    def dsn(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return make_dsn(self.server.dsn, dbname=database)

    def start(self) -> None:
        """Start it, made if need be; it takes connections then."""
        postgres.start(self.server)

    def stop(self) -> None:
        """Shut it down cleanly, if it runs."""
        postgres.stop(Path(self.server.folder))

    def kill(self) -> None:
        """End it at once, as a lost machine would."""
        pid = postgres.find(Path(self.server.folder))
        assert pid is not None
        assert process.end(pid, "postgres", str(self.data), signal.SIGQUIT, WAIT_SECONDS)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """One statement outside a transaction."""
        with closing(psycopg2.connect(self.dsn(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)

    def back_up(self) -> Path:
        """A copy of its files while it is stopped; it runs again afterwards."""
        self.stop()
        backup = self.data.with_name("backup")
        shutil.rmtree(backup, ignore_errors=True)
        run("cp", "-a", str(self.data), str(backup))
        self.start()
        return backup

    def put_back(self, backup: Path) -> None:
        """These files in place of its own; it runs again afterwards."""
        self.stop()
        shutil.rmtree(self.data)
        run("cp", "-a", str(backup), str(self.data))
        self.start()

    def program(self, name: str) -> str:
        """The path of one of Postgres' programs."""
        return str(binary_folder(None) / name)


def use_transactions(dsn: str, number: int) -> None:
    """Let the server's counter of transactions go on by so many."""
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
    """`pg_dump` of one database into another, which is empty."""
    dump = subprocess.run(
        [program("pg_dump"), "-Fc", "-d", source], capture_output=True, check=True
    )
    subprocess.run([program("pg_restore"), "-d", target], input=dump.stdout, check=True)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A new cluster in `folder`, running; it is gone after the block."""
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
    """An asynchronous standby of `primary`, running."""
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
