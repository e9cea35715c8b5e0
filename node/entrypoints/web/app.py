"""The web application 网络应用 of a node, put together: limits, problems, API, pages."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig

from node.entrypoints.web.access import staff
from node.entrypoints.web.api import cases, commands, events, figures, status
from node.entrypoints.web.connection_pool import Connections
from node.entrypoints.web.heavy import Heavy
from node.entrypoints.web.hosts import Hosts, allowed_hosts
from node.entrypoints.web.internal_errors import Defects
from node.entrypoints.web.openapi import openapi_of
from node.entrypoints.web.pages import add_pages
from node.entrypoints.web.problems import add_problem_answers
from node.entrypoints.web.request_limits import Limits
from node.entrypoints.web.services import Services
from node.keys.office import open_office
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

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
