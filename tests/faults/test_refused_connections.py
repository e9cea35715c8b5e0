"""Postgres refuses connections, in whatever language; and some databases lose characters."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import make_dsn
from pydantic import SecretStr
from support.cli import as_environment, in_process, refused
from support.clusters import Cluster, cluster

from node.localstack import LocalStack, postgres
from node.localstack.account import run_as_owner
from node.localstack.ports import free_port
from node.localstack.stack import stack_settings
from node.postgres.connection import connect, migrate, own_connected
from node.runtime.errors import Fatal, Transient
from node.runtime.settings import Settings


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that speaks Chinese, as `lc_messages = 'zh_CN.UTF-8'` makes it.

    gettext takes the language from LANGUAGE in any locale but C, so none need be installed.
    """
    speaking = ("env", "LC_ALL=C.UTF-8", "LANGUAGE=zh_CN")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "run_as_owner", lambda command: run_as_owner([*speaking, *command]))
        with cluster(tmp_path_factory.mktemp("chinese")) as made:
            made.execute("alter system set lc_messages = 'C.UTF-8'")
            made.execute("create role clerk login password 'clerk' connection limit 3")
            made.execute("create database closed")
            made.execute("revoke connect on database closed from public")
            made.stop()
            made.start()
            yield made


REFUSALS = {
    "a wrong password": ({"password": "wrong"}, "28P01"),
    "a role that does not exist": ({"user": "nobody_here"}, "28"),
    "a database that does not exist": ({"dbname": "nothing_here"}, "3D000"),
    "a database that this role may not enter": (
        {"dbname": "closed", "user": "clerk", "password": "clerk"},
        "42501",
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_in_chinese_is_recognised_by_its_code(chinese: Cluster, refusal: str) -> None:
    changed, code = REFUSALS[refusal]
    dsn = make_dsn(chinese.dsn(), **changed)
    with pytest.raises(psycopg2.OperationalError, match="致命错误"):
        psycopg2.connect(dsn)
    with pytest.raises(Fatal, match=rf"refuses us \({code}") as caught:
        connect(dsn, "test")
    assert "PETITIONLINK_POSTGRES_DSN" in str(caught.value)


def test_a_password_that_is_missing_is_asked_for(chinese: Cluster) -> None:
    dsn = f"host=127.0.0.1 port={chinese.server.port} user=petitionlink dbname=postgres"
    with pytest.raises(Fatal, match="asks for a password"):
        connect(dsn, "test")


def test_a_server_without_a_free_place_is_waited_for(chinese: Cluster) -> None:
    dsn = make_dsn(chinese.dsn(), user="clerk", password="clerk")
    held = [psycopg2.connect(dsn) for _ in range(3)]
    with pytest.raises(psycopg2.OperationalError, match="致命错误"):
        psycopg2.connect(dsn)
    with pytest.raises(Transient):
        connect(dsn, "test")
    for one in held:
        one.close()


def test_a_server_that_is_not_there_is_waited_for() -> None:
    with pytest.raises(Transient):
        connect(f"host=127.0.0.1 port={free_port()} user=u dbname=d password=p", "test")


def test_of_two_hosts_one_that_is_away_is_waited_for(chinese: Cluster) -> None:
    """A standby that refuses us is no reason to stop while the other may come back."""
    there, away = chinese.server.port, free_port()
    dsn = make_dsn(chinese.dsn(), host="127.0.0.1,127.0.0.1", password="wrong")
    with pytest.raises(Transient):
        connect(make_dsn(dsn, port=f"{away},{there}"), "test")
    with pytest.raises(Fatal, match="28P01"):
        connect(make_dsn(dsn, port=f"{there},{there}"), "test")


def test_a_command_says_in_one_line_that_it_is_refused(chinese: Cluster, stack: LocalStack) -> None:
    dsn = SecretStr(make_dsn(chinese.dsn(), password="wrong"))
    settings = stack_settings("370000").model_copy(update={"postgres_dsn": dsn})
    assert "28P01" in refused(in_process("status", settings=as_environment(settings)))


@pytest.fixture
def strange(stack: LocalStack) -> Iterator[Callable[[str], Settings]]:
    """A maker of databases in another encoding."""
    made = []

    def make(encoding: str) -> Settings:
        name = f"strange_{encoding.lower()}"
        _execute(
            stack,
            f"create database {name} encoding '{encoding}' lc_collate 'C' lc_ctype 'C' "
            "template template0",
        )
        made.append(name)
        dsn = SecretStr(make_dsn(stack.postgres_dsn, dbname=name))
        return stack_settings("370000").model_copy(update={"postgres_dsn": dsn})

    yield make
    for name in made:
        _execute(stack, f"drop database {name} with (force)")


def _execute(stack: LocalStack, statement: str) -> None:
    with closing(psycopg2.connect(stack.postgres_dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize("encoding", ["EUC_CN", "SQL_ASCII", "LATIN1"])
def test_a_database_that_is_not_in_utf_8_is_refused_by_migrate_and_at_the_start(
    strange: Callable[[str], Settings], encoding: str
) -> None:
    settings = strange(encoding)
    with pytest.raises(Fatal, match=f"encoded in {encoding} .* encoding 'UTF8' template template0"):
        migrate(settings.dsn, settings.node)
    with pytest.raises(Fatal, match=f"encoded in {encoding}"), own_connected(settings, "test"):
        """Refused before this."""
    assert "UTF8" in refused(in_process("migrate", settings=as_environment(settings)))
