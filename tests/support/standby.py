"""A real asynchronous standby of the stack's Postgres, promoted a few commits short."""

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT
from support.world import eventually

from node.localstack import LocalStack, postgres
from node.localstack.account import run_as_owner
from node.localstack.binaries import binary_folder
from node.localstack.state import Postgres, read_state

_STREAMING = "select count(*) from pg_stat_replication where state = 'streaming'"


def promote_standby(stack: LocalStack, run: Callable[[], None]) -> None:
    """Replace the stack's Postgres by a standby of it that lacks the commits made in `run`.

    1. A standby is made by `pg_basebackup` and streams, asynchronously, until it has caught up.
    2. It is cut off; `run` is called, and whatever is committed meanwhile is missing on it.
    3. The primary is ended at once (SIGQUIT), without a checkpoint.
    4. The standby takes over its port and is promoted, so that clients need no other address.
    """
    known = read_state(stack.folder).postgres
    assert isinstance(known, Postgres)
    home = Path(known.folder)
    primary, standby = home / "data", home / "standby"
    programs = binary_folder((primary / "PG_VERSION").read_text().strip())
    _copy_and_catch_up(stack, programs, standby)
    run()
    _end_at_once(home)
    shutil.rmtree(primary)
    standby.rename(primary)
    postgres.start(known)
    _run(programs / "pg_ctl", "-D", primary, "-w", "-s", "promote")


def _copy_and_catch_up(stack: LocalStack, programs: Path, standby: Path) -> None:
    shutil.rmtree(standby, ignore_errors=True)
    dsn = f"--dbname={stack.postgres_dsn}"
    _run(programs / "pg_basebackup", "-D", standby, "-R", "-X", "stream", "-c", "fast", dsn)
    # It listens on a socket of its own only: nobody connects to it before its turn.
    options = f"-c listen_addresses= -c unix_socket_directories={standby}"
    log = standby.parent / "standby.log"
    _run(programs / "pg_ctl", "-D", standby, "-w", "-s", "-l", log, "-o", options, "start")
    eventually(lambda: _streams(stack), "the standby streams")
    _run(programs / "pg_ctl", "-D", standby, "-w", "-s", "-m", "fast", "stop")


def _streams(stack: LocalStack) -> bool:
    with closing(psycopg2.connect(stack.postgres_dsn)) as connection:
        connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            cursor.execute(_STREAMING)
            return cursor.fetchone() == (1,)


def _end_at_once(home: Path) -> None:
    pid = postgres.find(home)
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    eventually(lambda: postgres.find(home) is None, "Postgres ends")


def _run(*command: str | Path) -> None:
    done = run_as_owner([*map(str, command)])
    assert done.returncode == 0, done.stderr
