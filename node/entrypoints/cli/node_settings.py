"""The node that a command works for: that of the environment, or one of the local stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from node.postgres.connection import Connection, own_connected
from node.runtime.settings import Settings, load_settings

NodeOption = Annotated[
    str | None,
    typer.Option("--node", metavar="CODE", help="A node of the local stack 本地节点, e.g. 370000."),
]


def settings_for(node: str | None) -> Settings:
    """Return the settings for `--node`: those of the environment if it was not given.

    Raises `Fatal` with one line that names what is wrong or missing.
    """
    if node is None:
        return load_settings()
    # Imported here, so that a node in production loads nothing of the local stack.
    from node.localstack.stack import stack_settings

    return stack_settings(node)


@contextmanager
def node_database(node: str | None, role: str) -> Iterator[tuple[Settings, Connection]]:
    """Yield the settings for `--node` and a connection to that node's own database."""
    settings = settings_for(node)
    with own_connected(settings, role) as connection:
        yield settings, connection
