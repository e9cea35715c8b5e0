"""The gate of commands, opened and closed by hand."""

from support.world import eventually

from node.postgres.connection import connected
from node.runtime.settings import Settings
from node.store import command_gate


def confirm_database(dsn: str) -> None:
    """Confirm that the database lacks nothing, so that its node takes commands."""
    with connected(dsn, "test") as connection, connection, connection.cursor() as cursor:
        command_gate.confirm(cursor)


def confirmation(settings: Settings) -> command_gate.Confirmation:
    """Return what the node knows of its database."""
    with connected(settings.dsn, "test") as connection, connection.cursor() as cursor:
        return command_gate.confirmation(cursor)


def await_open(settings: Settings) -> None:
    """Wait until the node takes commands again."""
    eventually(
        lambda: confirmation(settings) is command_gate.Confirmation.CONFIRMED,
        f"{settings.node} takes commands",
    )


def close_gate(settings: Settings, column: str = "confirmed_database", value: str = "x") -> None:
    """Close the gate as after another database; or after another start, with `confirmed_start`."""
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"update own_topic_state set {column} = %s", (value,))
