"""Postgres clusters of a test's own: a primary and a standby that follows it, asynchronously."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, make_dsn
from support.world import eventually

from node.localstack.account import own, run_as_owner
from node.localstack.binaries import binary_folder
from node.localstack.ports import HOST, free_port

_USER = "petitionlink"
_SETTINGS = f"""
listen_addresses = '{HOST}'
unix_socket_directories = ''
wal_level = replica
max_wal_senders = 4
hot_standby = on
synchronous_standby_names = ''
timezone = 'UTC'
port = """


class Cluster:
    """One server with its data folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.data = folder / name
        self.port = free_port()
        self._log = folder / f"{name}.log"

    @property
    def dsn(self) -> str:
        """Its database `postgres`."""
        return make_dsn(host=HOST, port=self.port, user=_USER, dbname="postgres")

    def make(self) -> None:
        """A new, empty cluster."""
        _run("initdb", "-D", self.data, "-U", _USER, "--encoding=UTF8", "--locale=C", "-A", "trust")
        self._write_settings()

    def follow(self, primary: Cluster) -> None:
        """A copy of the primary that will stream from it."""
        source = f"--dbname=host={HOST} port={primary.port} user={_USER}"
        _run("pg_basebackup", source, "-D", self.data, "-R", "-X", "stream", "-c", "fast")
        self._write_settings()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        _run("pg_ctl", "-D", self.data, "-l", self._log, "-w", "-s", "start")

    def promote(self) -> None:
        """Make the standby the primary."""
        _run("pg_ctl", "-D", self.data, "-w", "-s", "promote")

    def kill(self) -> None:
        """SIGKILL to the postmaster; its processes notice and end."""
        os.kill(int((self.data / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGKILL)

    def stop(self) -> None:
        """End it, if it still runs."""
        run_as_owner([str(_program("pg_ctl")), "-D", str(self.data), "-m", "immediate", "stop"])

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """What the last of these statements gives, outside a transaction."""
        return execute(self.dsn, *statements)

    def _write_settings(self) -> None:
        path = self.data / "postgresql.auto.conf"
        kept = path.read_text() if path.exists() else ""
        path.write_text(f"{kept}{_SETTINGS}{self.port}\n")
        own(path)


@contextmanager
def primary_and_standby() -> Iterator[tuple[Cluster, Cluster]]:
    """A primary without a node's database yet, and a standby that streams from it."""
    folder = Path(tempfile.mkdtemp(prefix="petitionlink-"))
    own(folder)
    primary, standby = Cluster(folder, "primary"), Cluster(folder, "standby")
    try:
        primary.make()
        primary.start()
        standby.follow(primary)
        standby.start()
        yield primary, standby
    finally:
        for one in (standby, primary):
            one.stop()
        shutil.rmtree(folder, ignore_errors=True)


def dsn_of_both(*clusters: Cluster, database: str) -> str:
    """One DSN with the hosts of all: whichever of them takes writes."""
    return make_dsn(
        host=",".join(HOST for _ in clusters),
        port=",".join(str(one.port) for one in clusters),
        user=_USER,
        dbname=database,
        target_session_attrs="read-write",
    )


def execute(dsn: str, *statements: str) -> list[tuple[Any, ...]]:
    """What the last of these statements gives, outside a transaction."""
    with closing(psycopg2.connect(dsn)) as connection:
        connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            for one in statements:
                cursor.execute(one)
            return cursor.fetchall() if cursor.description else []


def cut_off(primary: Cluster, standby: Cluster) -> None:
    """The standby receives nothing more of what the primary commits."""
    standby.execute("alter system set primary_conninfo = ''", "select pg_reload_conf()")
    eventually(
        lambda: primary.execute("select count(*) from pg_stat_replication") == [(0,)],
        "nobody streams from the primary",
    )


def _run(program: str, *arguments: object) -> None:
    done = run_as_owner([str(_program(program)), *map(str, arguments)])
    assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


def _program(name: str) -> Path:
    return binary_folder() / name
