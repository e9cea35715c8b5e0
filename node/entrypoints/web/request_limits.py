"""Limits 限制 and headers of every request."""

from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.entrypoints.web.problems import (
    HEADERS_TOO_LARGE,
    TOO_LARGE,
    URI_TOO_LONG,
    WRONG_MEDIA_TYPE,
    ProblemKind,
    answer,
)

# For a hundred commands with long texts; an opinion of 10,000 characters takes 30 kB.
MAX_BODY_BYTES = 1024 * 1024
# For case number and query code, each character of which a browser may write as nine.
MAX_ENQUIRY_BYTES = 8 * 1024
# For two reasons of 500 characters, of 12 bytes each outside the basic plane.
MAX_EVALUATION_BYTES = 16 * 1024
# All other routes read no body.
MAX_OTHER_BYTES = 1024
# Our forms have five fields; splitting a form costs a microsecond for each separator.
MAX_FORM_FIELDS = 16
# Longer than all filters of the longest list together.
MAX_QUERY_BYTES = 8 * 1024
MAX_QUERY_PARAMETERS = 50
MAX_HEADERS = 100

_FORM = "application/x-www-form-urlencoded"


class _Body(NamedTuple):
    """The most bytes that a route reads, and whether they are a form."""

    max_bytes: int
    is_form: bool = False


_BODIES = {
    "/v1/commands": _Body(MAX_BODY_BYTES),
    "/enquiry": _Body(MAX_ENQUIRY_BYTES, is_form=True),
    "/enquiry/evaluation": _Body(MAX_EVALUATION_BYTES, is_form=True),
}
_OTHER = _Body(MAX_OTHER_BYTES)

# Headers that a page has set itself are kept.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class RequestLimits:
    """ASGI middleware: bounds what a request may make us read, before anything else runs.

    The body is read up to the limit of its route, sent in chunks or not. A request over a limit is
    answered with a problem; a client that hangs up in the middle gets no answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        refused = _refused_head(scope)
        if refused is not None:
            await refused(scope, receive, send)
            return
        allowed = _BODIES.get(scope["path"], _OTHER)
        try:
            body = await _read(scope, receive, allowed.max_bytes)
        except _HungUp:
            return
        refused = _refused_body(scope, body, allowed)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self._app(scope, _replayed(body or b"", receive), send)


def _refused_head(scope: Scope) -> Response | None:
    query: bytes = scope["query_string"]
    if len(scope["headers"]) > MAX_HEADERS:
        return _closing(HEADERS_TOO_LARGE, f"a request may have at most {MAX_HEADERS} headers")
    if len(query) > MAX_QUERY_BYTES:
        return _closing(URI_TOO_LONG, f"a query may have at most {MAX_QUERY_BYTES} bytes")
    if query.count(b"&") >= MAX_QUERY_PARAMETERS:
        detail = f"a query may have at most {MAX_QUERY_PARAMETERS} parameters"
        return _closing(URI_TOO_LONG, detail)
    return None


def _refused_body(scope: Scope, body: bytes | None, allowed: _Body) -> Response | None:
    if body is None:
        detail = f"a request here may have at most {allowed.max_bytes} bytes: send less at once"
        return _closing(TOO_LARGE, detail)
    if not allowed.is_form or not body:
        return None
    given = Headers(scope=scope).get("content-type", "")
    if given.split(";")[0].strip().lower() != _FORM:
        return _closing(WRONG_MEDIA_TYPE, f"send Content-Type: {_FORM}")
    if body.count(b"&") + body.count(b";") >= MAX_FORM_FIELDS:
        return _closing(TOO_LARGE, f"a form may have at most {MAX_FORM_FIELDS} fields")
    return None


def _closing(kind: ProblemKind, detail: str) -> Response:
    """Return a problem that closes the connection, on which more of the same may be coming."""
    return answer(kind, detail, headers={"Connection": "close"})


class _HungUp(Exception):
    """The client hung up before its body was complete."""


async def _read(scope: Scope, receive: Receive, max_bytes: int) -> bytes | None:
    """Return the body, or None if it is longer than `max_bytes`."""
    announced = Headers(scope=scope).get("content-length", "")
    # So many digits are more than any limit, and `int` of a very long number is slow.
    if announced.isdecimal() and (len(announced) > 12 or int(announced) > max_bytes):
        return None
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _HungUp
        body += message.get("body", b"")
        if len(body) > max_bytes:
            return None
        more = message.get("more_body", False)
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body as one message, then what the server sends."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
