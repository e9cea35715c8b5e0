"""Defects 程序缺陷 of ours: answered as a problem and logged, and the connection lives on.

The framework's own place for this answers and then raises again, whereupon the server closes the
connection that it has just told the client to keep: the client's next request is lost in it.
"""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.entrypoints.web.problems import sorry

log = logging.getLogger(__name__)


class Defects:
    """Answers 500 for whatever nobody else has answered. ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; one whose answer had begun is cut off, so that nobody takes it for whole."""
        begun = False

        async def noticed(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noticed)
        except Exception:
            if begun:
                raise
            log.exception("a request met a defect of ours")
            await sorry()(scope, receive, send)
