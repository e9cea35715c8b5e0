"""The web application 网络应用 of a node, put together: limits, problems, API, pages."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig

from node.metrics import Metrics
from node.settings import Settings
from node.web.access import staff
from node.web.api import cases, commands, events, figures, status
from node.web.connections import Connections
from node.web.defects import Defects
from node.web.heavy import Heavy
from node.web.hosts import Hosts, allowed_hosts
from node.web.limits import Limits
from node.web.openapi import openapi_of
from node.web.pages import add_pages
from node.web.problems import add_problem_answers
from node.web.services import Services
from producers.office import open_office

# The framework would add traces and the texts of errors to whatever collector it finds.
_SILENT = TelemetryConfig(auto_configure=False, tracing=False, metrics=False, logs=False)


def create_app(settings: Settings, metrics: Metrics) -> FastAPI:
    """The application of the node of `settings`; nothing is connected yet.

    Raises if the node's keys are missing or unsafe.
    """
    # No pages about the API: they would come from foreign servers.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url="/openapi.json", telemetry=_SILENT)
    connections = Connections(settings)
    app.state.services = Services(settings, open_office(settings), connections, Heavy(connections))
    app.add_middleware(Defects)
    app.add_middleware(Hosts, allowed=allowed_hosts(settings))
    app.add_middleware(Limits)  # outermost: its headers stand on every answer
    add_problem_answers(app)
    for part in (commands, cases, events, figures):
        app.include_router(part.router, dependencies=[Depends(staff)])
    app.include_router(status.router)
    add_pages(app, settings, connections, metrics)
    app.openapi = openapi_of(app)  # type: ignore[method-assign]
    return app
