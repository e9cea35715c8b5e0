"""`petitionlink serve`: the web service of a node alone."""

from __future__ import annotations

import typer

from node.entrypoints.cli.output import NodeOption
from node.entrypoints.cli.run import run_workers, web_server
from node.queries.database_gauges import Observer
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Worker


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve_command)


def serve_command(node: NodeOption = None) -> None:
    """The web service alone 网络服务: the API under /v1, /enquiry and /monitor.

    Start several behind a balancer, each with its own PETITIONLINK_HTTP_PORT.
    """
    run_workers(node, _workers)


def _workers(settings: Settings, metrics: Metrics) -> list[Worker]:
    return [web_server(settings, metrics), Observer(settings, metrics)]
