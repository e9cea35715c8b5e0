"""`petitionlink serve`: the web service of a node alone."""

from __future__ import annotations

import typer

from node.cli.output import NodeOption
from node.cli.running import run_workers, web_server
from node.lifecycle import Worker
from node.metrics import Metrics
from node.observing import Observer
from node.settings import Settings


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
