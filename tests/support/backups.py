"""Databases copied, put back and lost, as a disaster would have it."""

from contextlib import closing

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, parse_dsn

from node.kafka import clients
from node.kafka.clients import TopicPartition
from node.localstack import LocalStack
from node.postgres.connection import migrate
from node.runtime.settings import Settings


class Backup:
    """A copy of a node's database as it is now; nobody may be connected to it."""

    def __init__(self, stack: LocalStack, settings: Settings) -> None:
        self._stack = stack
        self._database = parse_dsn(settings.dsn)["dbname"]
        self._copy = f"{self._database}_backup"
        _copy(stack, self._database, self._copy)

    def put_back(self) -> None:
        """Put the database back as it was; the copy is used up."""
        _drop(self._stack, self._database)
        _copy(self._stack, self._copy, self._database)
        _drop(self._stack, self._copy)


def lose_database(stack: LocalStack, settings: Settings) -> None:
    """Replace the node's database by an empty, migrated one."""
    database = parse_dsn(settings.dsn)["dbname"]
    _drop(stack, database)
    _execute(stack, sql.SQL("create database {}").format(sql.Identifier(database)))
    migrate(settings.dsn, settings.node)


def lose_records(settings: Settings, *topics: str) -> None:
    """Everything that these topics hold now is gone from Kafka, as after its retention."""
    with closing(clients.plain_consumer(settings, "test")) as client:
        places = [
            TopicPartition(one, n) for one in topics for n in client.partitions_for_topic(one)
        ]
        ends = client.end_offsets(places)
    with closing(clients.admin(settings)) as admin:
        admin.delete_records({place: end for place, end in ends.items() if end})


def _copy(stack: LocalStack, from_: str, to: str) -> None:
    statement = sql.SQL("create database {} template {}")
    _execute(stack, statement.format(sql.Identifier(to), sql.Identifier(from_)))


def _drop(stack: LocalStack, database: str) -> None:
    _execute(stack, sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))


def _execute(stack: LocalStack, statement: sql.Composed) -> None:
    with closing(psycopg2.connect(stack.postgres_dsn)) as connection:
        connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            cursor.execute(statement)
