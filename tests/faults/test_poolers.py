"""PgBouncer in front of Postgres: session pooling serves, other modes are noticed at the start."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from pydantic import SecretStr
from support.cli import as_environment, in_process, petitionlink, refused
from support.pooler import pooler
from support.world import count, eventually, register, rows, running

from node.localstack import LocalStack
from node.localstack.ports import free_port
from node.postgres import pooler_check
from node.postgres.connection import connect, connected
from node.postgres.statements import Prepared, Statement, run
from node.runtime.errors import Fatal
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.relay.relay import Relay

_PENDING = "select count(*) from outbox where published_at is null"
_CURE = "pool_mode = session"


@contextmanager
def through_pooler(settings: Settings, mode: str, **more: str) -> Iterator[Settings]:
    """The node's settings with a pooler of its own in between."""
    with pooler(settings.dsn, mode, **more) as dsn:
        yield settings.model_copy(update={"postgres_dsn": SecretStr(dsn)})


@pytest.fixture
def fresh_province(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with a database of its own."""
    return fresh_settings("370000")


def test_session_pooling_serves_and_is_asked_about_once(
    empty_topics: LocalStack, fresh_province: Settings
) -> None:
    with through_pooler(fresh_province, "session") as pooled:
        register(pooled)
        assert pooled.dsn in pooler_check._keeps_sessions
        metrics = Metrics()
        with running(Relay(pooled, metrics), metrics) as ended:
            eventually(lambda: rows(fresh_province, _PENDING) == [(0,)], "the relay publishes")
            register(pooled)
            eventually(lambda: rows(fresh_province, _PENDING) == [(0,)], "and goes on")
        assert not ended
    assert count(fresh_province, "case_event") == 2


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("more", [{}, {"server_round_robin": "1"}, {"default_pool_size": "1"}])
def test_other_modes_are_refused_at_once(
    fresh_province: Settings, mode: str, more: dict[str, str]
) -> None:
    with through_pooler(fresh_province, mode, **more) as pooled:
        for _ in range(3):
            with pytest.raises(Fatal, match=_CURE):
                connect(pooled.dsn, "test")


def test_a_busy_pooler_is_noticed_too(fresh_province: Settings) -> None:
    """Server connections that others left lie before the one that we used."""
    with through_pooler(fresh_province, "transaction") as pooled:
        others = [psycopg2.connect(pooled.dsn) for _ in range(5)]
        for other in others:
            other.cursor().execute("select 1")
        for other in others[::2]:
            other.rollback()
        with pytest.raises(Fatal, match=_CURE):
            connect(pooled.dsn, "test")
        for other in others:
            other.close()


COMMANDS = (("migrate",), ("status",), ("command", "-"), ("recover",))


def test_every_command_says_so_in_one_line_and_a_node_ends(fresh_province: Settings) -> None:
    with through_pooler(fresh_province, "transaction") as pooled:
        for arguments in COMMANDS:
            done = in_process(*arguments, settings=as_environment(pooled))
            assert "PETITIONLINK_POSTGRES_DSN" in refused(done)
            assert _CURE in done.err
        ports = {"http_port": free_port(), "metrics_port": free_port()}
        done = petitionlink("run", settings=as_environment(pooled.model_copy(update=ports)))
        assert done.code == 1
        assert _CURE in done.err.splitlines()[-1]
        assert "Traceback" not in done.err


def test_a_session_that_was_changed_later_is_named_as_such(fresh_province: Settings) -> None:
    """A pooler whose mode was changed while we run: a statement that is not there any more."""

    def work() -> None:
        statement = Statement(Prepared("of_a_test", "select 1"))
        with connected(fresh_province.dsn, "test") as connection, connection.cursor() as cursor:
            run(cursor, [statement])
            cursor.execute("deallocate all")
            run(cursor, [statement])

    with pytest.raises(Fatal, match=_CURE):
        work()


def test_without_a_pooler_nothing_is_asked(fresh_province: Settings) -> None:
    with closing(connect(fresh_province.dsn, "test")) as made, made.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        assert cursor.fetchone() == (made.info.backend_pid,)
    assert fresh_province.dsn not in pooler_check._keeps_sessions
