"""The web application 网络应用 of a node: limits, problems, API, pages, the OpenAPI document."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig
from starlette.staticfiles import StaticFiles

from node.entrypoints.web.access import staff
from node.entrypoints.web.api import cases, commands, events, figures, status
from node.entrypoints.web.api.command_schemas import command_components
from node.entrypoints.web.api.models import Problem
from node.entrypoints.web.connection_pool import Connections, HeavyConnections
from node.entrypoints.web.hosts import Hosts, allowed_hosts
from node.entrypoints.web.pages import enquiry, monitor
from node.entrypoints.web.problems import Defects, add_problem_answers
from node.entrypoints.web.request_limits import RequestLimits
from node.entrypoints.web.services import Services
from node.keys.office import open_office
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

# The framework would add traces and the texts of errors to whatever collector it finds.
_SILENT = TelemetryConfig(auto_configure=False, tracing=False, metrics=False, logs=False)
_STATIC = Path(__file__).parent / "static"
_ABOUT = (
    "One node of PetitionLink 信访互联. Every error is a problem (RFC 9457) whose `rule` is a "
    "stable name for programs. docs/http.md has the whole story."
)
# FastAPI's own forms of errors, which nothing here answers with.
_UNUSED = ("HTTPValidationError", "ValidationError")


def create_app(settings: Settings, metrics: Metrics) -> FastAPI:
    """Return the application of a node, not connected yet; raises if its keys are not usable."""
    # Without pages about the API, which would come from foreign servers.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url="/openapi.json", telemetry=_SILENT)
    office, connections = open_office(settings), Connections(settings)
    app.state.services = Services(settings, office, connections, HeavyConnections(connections))
    app.add_middleware(Defects)
    app.add_middleware(Hosts, allowed=allowed_hosts(settings))
    app.add_middleware(RequestLimits)  # outermost, so that every answer has its headers
    add_problem_answers(app)
    for part in (commands, cases, events, figures):
        app.include_router(part.router, dependencies=[Depends(staff)])
    app.include_router(status.router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(enquiry.router(office, connections, metrics))
    app.include_router(monitor.router(settings, connections))
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document 接口描述: the routes, the commands and the problems."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title="PetitionLink 信访互联",
        version=version("petitionlink"),
        description=_ABOUT,
        routes=app.routes,
    )
    components = made.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components |= problem.pop("$defs", {})
    components["Problem"] = problem
    components |= command_components()
    for name in _UNUSED:
        components.pop(name, None)
    return made
