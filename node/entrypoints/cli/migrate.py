"""`petitionlink migrate`: the node's database, forward only."""

import typer

from node.entrypoints.cli.node_settings import NodeOption, settings_for
from node.entrypoints.cli.output import say
from node.postgres.connection import migrate

app = typer.Typer()


@app.command("migrate")
def migrate_command(node: NodeOption = None) -> None:
    """Bring the node's database up to date 数据库升级; running it again changes nothing."""
    settings = settings_for(node)
    applied = migrate(settings.dsn, settings.node)
    for name in applied:
        say(f"applied {name}")
    if not applied:
        say(f"the database of node {settings.node} is up to date")
