"""docs/faults.md 37: a Postgres that holds its connections and answers nothing."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import psycopg2
import pytest

from node.postgres.connection import Connection, connect
from node.runtime.errors import NoAnswer
from node.runtime.metrics import Metrics
from node.runtime.supervisor import Stop, StopPolicy, supervise
from node.runtime.watchdog import Limit, answered_within, hurry

_SHORT = Limit(0.5, 0.5)
_THAW_SECONDS = 20.0


@contextmanager
def frozen(connection: Connection) -> Iterator[None]:
    """The backend of this connection stands still inside the block.

    Not for ever: who waits on without a bound gets the answer, and the test fails instead of hangs.
    """
    pid = connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    thaw = threading.Timer(_THAW_SECONDS, os.kill, (pid, signal.SIGCONT))
    thaw.start()
    try:
        yield
    finally:
        thaw.cancel()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def dsn(fresh_dsn: Callable[..., str]) -> str:
    return fresh_dsn()


def test_a_statement_without_an_answer_ends_with_its_connection(dsn: str) -> None:
    with closing(connect(dsn, "test", _SHORT)) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
        with frozen(connection), pytest.raises(NoAnswer, match="no answer to a statement"):
            cursor.execute("select 2")
        assert connection.closed


def test_a_commit_without_an_answer_ends_and_its_outcome_is_unknown(dsn: str) -> None:
    with closing(connect(dsn, "test", _SHORT)) as connection, connection.cursor() as cursor:
        cursor.execute("create table written ()")
        with frozen(connection), pytest.raises(NoAnswer, match="no answer to COMMIT"):
            connection.commit()
        assert connection.closed


def test_a_statement_in_a_transaction_says_why_its_connection_is_gone(dsn: str) -> None:
    """Seen failing with the driver's rollback: "connection already closed" hides the reason."""
    with (
        closing(connect(dsn, "test", _SHORT)) as connection,
        frozen(connection),
        pytest.raises(NoAnswer),
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select 1")


def test_a_process_that_is_to_end_waits_for_no_answer(dsn: str) -> None:
    with closing(connect(dsn, "test")) as connection, connection.cursor() as cursor:
        hurry(0.0)
        try:
            with frozen(connection), pytest.raises(NoAnswer):
                cursor.execute("select 1")
        finally:
            hurry(None)


def test_a_patient_statement_takes_its_time_while_postgres_answers_others(dsn: str) -> None:
    """Seen failing with a limit that asks nobody: an index that is built loses its connection."""
    patient = Limit(0.5, 0.5, patient=True)
    with closing(connect(dsn, "test", patient)) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_sleep(2)")
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)


def test_a_limit_for_one_block_does_not_outlive_it(dsn: str) -> None:
    with closing(connect(dsn, "test")) as connection, connection.cursor() as cursor:
        with answered_within(connection, 5.0):
            cursor.execute("select 1")
        cursor.execute("select pg_sleep(0.1)")
        with answered_within(connection, 0.5), frozen(connection), pytest.raises(psycopg2.Error):
            cursor.execute("select 1")


def test_each_fetch_of_a_named_cursor_is_watched(dsn: str) -> None:
    with closing(connect(dsn, "test", _SHORT)) as connection:
        cursor = connection.cursor("many")
        cursor.execute("select generate_series(1, 10)")
        assert cursor.fetchmany(2) == [(1,), (2,)]
        assert next(cursor) == (3,)
        with frozen(connection), pytest.raises(NoAnswer):
            cursor.fetchmany(2)


class Asking:
    """A worker that waits for an answer which its own limit would grant for long."""

    name = "asking"

    def __init__(self, dsn: str) -> None:
        self.connection = connect(dsn, "test", Limit(1_000.0, 1_000.0))
        self.error: BaseException | None = None

    def session(self, stop: Stop) -> None:
        """Ask Postgres, whose backend is frozen, and then be told to stop."""
        stop.set()
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("select 1")
        except psycopg2.Error as error:
            self.error = error
            raise


def test_a_worker_that_waits_for_an_answer_ends_soon_after_sigterm(dsn: str) -> None:
    """docs/faults.md 24. Seen failing without `hurry` in `supervise`: the thread waits on."""
    worker = Asking(dsn)
    with closing(worker.connection) as connection, frozen(connection):
        supervise([worker], Metrics(), Stop(), StopPolicy(hurry_seconds=0.5, limit_seconds=10.0))
        assert isinstance(worker.error, NoAnswer)
