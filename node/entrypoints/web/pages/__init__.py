"""The pages 网页: /enquiry for petitioners, /monitor for staff and the centre."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from node.entrypoints.web.pages import enquiry, monitor
from node.keys.office import open_office
from node.postgres.connection import Connection
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

__all__ = ["add_pages"]

_STATIC = Path(__file__).parents[1] / "static"


def add_pages(
    app: FastAPI,
    settings: Settings,
    connections: Callable[[], AbstractContextManager[Connection]],
    metrics: Metrics,
) -> None:
    """Add both pages and their style to `app`; raises if the node's keys are missing."""
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(enquiry.router(open_office(settings), connections, metrics))
    app.include_router(monitor.router(settings, connections))
