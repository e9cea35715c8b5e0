"""Limits and headers 限制 that hold for every request, whatever it asks for."""

from __future__ import annotations

from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.web.problems import TOO_LARGE, answer

# A hundred commands with long texts; an opinion of 10,000 characters takes 30 kB.
MAX_BODY_BYTES = 1024 * 1024

# What a page of ours sets itself is left as it is.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Limits:
    """Reads the body up to the limit before anything else runs, sent in chunks or not.

    ASGI middleware. A longer body is answered with 413; a client that hangs up in the middle
    with nothing.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        read = await self._read(scope, receive)
        if read.body is not None:
            await self._app(scope, _replayed(read.body, receive), send)
        elif not read.hung_up:
            detail = f"a request may have at most {self._max_body_bytes} bytes: send less at once"
            await answer(TOO_LARGE, detail, headers={"Connection": "close"})(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> _Read:
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            return _Read(None, hung_up=False)
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return _Read(None, hung_up=True)
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                return _Read(None, hung_up=False)
            more = message.get("more_body", False)
        return _Read(bytes(body), hung_up=False)


class _Read(NamedTuple):
    body: bytes | None
    hung_up: bool


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message; behind it, what the server says."""
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
