"""The databases of the nodes, in our own server or in an outside one."""

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT

from node.localstack.stack import LocalStack, database_name
from node.postgres.connection import connected, migrate
from node.runtime.errors import Fatal

_ROLE = "stack"


def make_databases(stack: LocalStack) -> list[str]:
    """Make and migrate the databases; return the nodes whose database was made or changed."""
    missing = _missing(stack)
    changed = []
    for node in stack.nodes:
        if node in missing:
            _create(stack, node)
        if migrate(stack.dsn(node), node) or node in missing:
            changed.append(node)
    return changed


def _missing(stack: LocalStack) -> set[str]:
    with connected(stack.postgres_dsn, _ROLE) as connection, connection.cursor() as cursor:
        cursor.execute("select datname from pg_database")
        present = {name for (name,) in cursor}
    return {node for node in stack.nodes if database_name(node) not in present}


def existing_nodes(stack: LocalStack) -> set[str]:
    """Return the nodes whose database exists; raises `Transient` if the server is away."""
    return set(stack.nodes) - _missing(stack)


def _create(stack: LocalStack, node: str) -> None:
    statement = sql.SQL("create database {} encoding 'UTF8' template template0").format(
        sql.Identifier(database_name(node))
    )
    with connected(stack.postgres_dsn, _ROLE) as connection:
        connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except psycopg2.errors.InsufficientPrivilege:
                raise Fatal(
                    f"the user of PETITIONLINK_POSTGRES_DSN may not create the database "
                    f"{database_name(node)}: give it CREATEDB, or create the database"
                ) from None
