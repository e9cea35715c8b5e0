"""Render a template 页面输出 into an answer: escaping, headers, and errors as pages."""

import logging
from collections.abc import Callable, Coroutine
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from node.runtime.errors import PetitionLinkError, Transient, classified
from schemas.instants import CHINA

log = logging.getLogger(__name__)

_TEMPLATES = Path(__file__).parents[1] / "templates"
# Only our own scripts and styles, nothing from elsewhere, in no frame, stored nowhere.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_RETRY_AFTER_SECONDS = 5

_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return the answer that a template makes of `values`."""
    text = _environment.get_template(template).render(**values)
    return HTMLResponse(text, status, headers=_HEADERS)


def day(instant: datetime) -> str:
    """Return the day in China 北京时间."""
    local = instant.astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日"


def minute(instant: datetime) -> str:
    """Return day and minute in China 北京时间."""
    return instant.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


def until(instant: datetime) -> str:
    """Return the end of a period: 00:00 is 24:00 of the day before, as people write it."""
    local = instant.astimezone(CHINA)
    if local.time() != time.min:
        return minute(instant)
    return (local - timedelta(days=1)).strftime("%Y-%m-%d 24:00")


def full_width(text: str) -> str:
    """Return `text` with the brackets of Chinese print."""
    return text.replace("(", "\uff08").replace(")", "\uff09")


_environment.filters.update(day=day, minute=minute, until=until, full_width=full_width)


class PageRoute(APIRoute):
    """A route whose errors are pages too, never JSON or a traceback."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with errors made into pages."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except HTTPException:
                raise
            except Exception as error:
                return await run_in_threadpool(_sorry, _status_of(error), _page_of(request))

        return handle


def _page_of(request: Request) -> str:
    """Return the page on which to start again."""
    return "/" + request.url.path.split("/")[1]


def _status_of(error: Exception) -> int:
    if isinstance(error, RequestValidationError):
        return 422
    known = error if isinstance(error, PetitionLinkError) else classified(error)
    if isinstance(known, Transient):
        return 503
    log.error("a page failed", exc_info=error)
    return 500


def _sorry(status: int, back: str) -> HTMLResponse:
    answer = page("sorry.html", status, reason=status, back=back)
    if status == 503:
        answer.headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    return answer
