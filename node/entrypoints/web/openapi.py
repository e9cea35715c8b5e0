"""The OpenAPI document 接口描述: what FastAPI collects, the commands, and the problems."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from node.entrypoints.web.api.command_schemas import command_components
from node.entrypoints.web.api.models import Problem

_ABOUT = (
    "One node of PetitionLink 信访互联. Every error is a problem (RFC 9457) whose `rule` is a "
    "stable name for programs. docs/http.md has the whole story."
)
# FastAPI's own forms of errors, which nothing here answers with.
_UNUSED = ("HTTPValidationError", "ValidationError")


def openapi_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` shall be: the document, made when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return document


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
