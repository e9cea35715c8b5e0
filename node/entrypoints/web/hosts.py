"""Checks of the host name and the site of a request 主机名与来源.

The owner of a foreign page can point its name to the address of this node (DNS rebinding) and then
read, in a clerk's browser, whatever the node answers under that name. So only names of the node are
answered. A form on a foreign page needs no such trick, so the site that a browser names is checked
too.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from node.entrypoints.web.problems import CROSS_SITE, WRONG_HOST, answer
from node.runtime.settings import Settings, names_of

# Balancers ask for these under any name, and they say nothing about a case.
_FOR_ANYBODY = ("/healthz", "/readyz")
_READING = ("GET", "HEAD", "OPTIONS")
_OWN_SITE = ("same-origin", "none")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Return the names of the node: those of loopback, of the machine, of its settings."""
    own = (*_LOOPBACK, socket.gethostname(), settings.http_address)
    return frozenset(name.lower() for name in (*own, *names_of(settings.http_allowed_hosts)))


class Hosts:
    """ASGI middleware: refuses requests under a foreign name, and writing ones of a foreign site.

    An address instead of a name is allowed if the connection came to that very address: no foreign
    page has such an origin.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refused = self._refused(scope) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        if scope["path"] in _FOR_ANYBODY:
            return None
        headers = Headers(scope=scope)
        if not self._is_ours(host_of(headers.get("host", "")), scope):
            detail = (
                "this node does not go by the name of the Host header: ask for it by a name of "
                "its own, or add the name to PETITIONLINK_HTTP_ALLOWED_HOSTS"
            )
            return answer(WRONG_HOST, detail, headers={"Connection": "close"})
        if scope["method"] in _READING or self._is_own_site(headers, scope):
            return None
        return answer(CROSS_SITE, "a page of another site sent this: use the node's own pages")

    def _is_ours(self, host: str | None, scope: Scope) -> bool:
        if host is None:
            return False
        local = scope.get("server") or ("", None)
        return host in self._allowed or _is_address(host, local[0])

    def _is_own_site(self, headers: Headers, scope: Scope) -> bool:
        """Return whether a browser names our own site, or none as a program does.

        Our pages send no referrer, so a browser calls the origin of their forms "null" and names
        the site in `Sec-Fetch-Site`, unless it speaks plain HTTP. Other requests than forms need a
        preflight across sites, which is never granted.
        """
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site.lower() in _OWN_SITE
        origin = headers.get("origin")
        if origin is None or origin == "null":
            return True
        try:
            host = urlsplit(origin).hostname
        except ValueError:
            return False
        return self._is_ours(host, scope)


def host_of(header: str) -> str | None:
    """Return the name or address in a Host header, in lower case; None if it has none."""
    text = header.strip().lower()
    if text.startswith("["):
        inside, closed, rest = text[1:].partition("]")
        return inside if closed and _is_port(rest) else None
    name, colon, port = text.partition(":")
    return name if name and _is_port(colon + port) else None


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and (text[1:].isdecimal() or not text[1:]))


def _is_address(host: str, local: str) -> bool:
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(local)
    except ValueError:
        return False
