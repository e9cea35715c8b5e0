"""Problem details 问题详情 (RFC 9457): the answer to every error of the API.

Here alone is decided what a client may read: our own one-line messages, and never the text of an
unexpected error.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
import psycopg2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.runtime.errors import classified, is_data_error, is_too_large
from node.store.clock_skew import ClockWrong
from node.store.command_gate import NotConfirmed
from producers.commands.handle import OutcomeUnknown
from schemas.errors import Invalid, PetitionLinkError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_RETRY_SECONDS = 2
_MOST_ERRORS = 20
# A detail may quote what a client sent, which can be a megabyte.
_LONGEST_DETAIL = 2000


class ProblemKind(NamedTuple):
    """One kind of problem: its name in the type URI, its status, its title."""

    name: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        """The `type` member of a problem; docs/http.md lists them all."""
        return f"urn:petitionlink:problem:{self.name}"


NO_JSON = ProblemKind("no_json", 400, "Body is no JSON 请求体不是 JSON")
BAD_REQUEST = ProblemKind("bad_request", 400, "Bad request 请求无法理解")
NOT_FOUND = ProblemKind("not_found", 404, "Not found 未找到")
WRONG_METHOD = ProblemKind("wrong_method", 405, "Method not allowed 方法不允许")
CROSS_SITE = ProblemKind("cross_site", 403, "Sent by another site 跨站请求")
REFUSED = ProblemKind("refused", 409, "Refused by the rules 不符合规定")
GONE = ProblemKind("gone", 410, "Cursor of a database that is gone 游标所属数据库已不存在")
TOO_LARGE = ProblemKind("too_large", 413, "Body too large 请求体过大")
URI_TOO_LONG = ProblemKind("uri_too_long", 414, "Address too long 请求地址过长")
WRONG_MEDIA_TYPE = ProblemKind("wrong_media_type", 415, "Unsupported media type 媒体类型不支持")
WRONG_HOST = ProblemKind("wrong_host", 421, "Not the name of this node 主机名不符")
INVALID = ProblemKind("invalid", 422, "Invalid request 请求内容有误")
KEY_REUSED = ProblemKind("key_reused", 422, "Idempotency key used before 幂等键已用于其他请求")
HEADERS_TOO_LARGE = ProblemKind("headers_too_large", 431, "Too many headers 请求头过多")
INTERNAL = ProblemKind("internal", 500, "Internal error 内部错误")
UNAVAILABLE = ProblemKind("unavailable", 503, "Service unavailable 服务暂不可用")
KINDS = (
    *(NO_JSON, BAD_REQUEST, CROSS_SITE, NOT_FOUND, WRONG_METHOD, REFUSED, GONE, TOO_LARGE),
    *(URI_TOO_LONG, WRONG_MEDIA_TYPE, WRONG_HOST, INVALID, KEY_REUSED, HEADERS_TOO_LARGE),
    *(INTERNAL, UNAVAILABLE),
)
_BY_STATUS = {kind.status: kind for kind in (BAD_REQUEST, NOT_FOUND, WRONG_METHOD, TOO_LARGE)}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems of a route for OpenAPI; 414, 422 and 503 are possible for all."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {
            "description": "; ".join(kind.title for kind in KINDS if kind.status == status),
            "content": content,
        }
        for status in sorted({*statuses, 414, 422, 503})
    }


class ProblemError(Exception):
    """Raised by a handler to answer with a problem."""

    def __init__(self, kind: ProblemKind, detail: str, rule: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.rule = rule
        self.extra = extra


def problem(kind: ProblemKind, detail: str, rule: str = "", **extra: Any) -> dict[str, Any]:
    """Return the members of a problem; `rule` is a stable short name for programs."""
    return {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": detail[:_LONGEST_DETAIL],
        "rule": rule or kind.name,
        **extra,
    }


def answer(
    kind: ProblemKind,
    detail: str,
    rule: str = "",
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """Return a problem as a response."""
    headers = dict(headers or {})
    if kind is UNAVAILABLE:
        headers.setdefault("Retry-After", str(_RETRY_SECONDS))
    content = orjson.dumps(problem(kind, detail, rule, **extra))
    return Response(content, kind.status, headers, MEDIA_TYPE)


def add_problem_answers(app: FastAPI) -> None:
    """Answer every error of `app` with a problem; all others are answered by `Defects`."""
    app.add_exception_handler(ProblemError, _raised)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Invalid, _invalid)
    for environment in (PetitionLinkError, psycopg2.Error):
        app.add_exception_handler(environment, _environment)


async def _raised(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return answer(error.kind, error.detail, error.rule, **error.extra)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _BY_STATUS.get(error.status_code, BAD_REQUEST)
    text = {
        NOT_FOUND: f"there is nothing at this address; {request.scope['root_path']}/openapi.json "
        "lists what there is",
        WRONG_METHOD: f"{request.method} is not possible here: see the Allow header",
    }.get(kind, str(error.detail))
    return answer(kind, text, headers=error.headers)


async def _validation(_request: Request, error: Exception) -> Response:
    """Answer which parameter is wrong and why, without repeating its value."""
    assert isinstance(error, RequestValidationError)
    errors = [
        {"place": str(each["loc"][0]), "name": ".".join(map(str, each["loc"][1:]))[:100]}
        | {"detail": str(each["msg"])}
        for each in error.errors()[:_MOST_ERRORS]
    ]
    detail = "; ".join(f"{each['name'] or each['place']}: {each['detail']}" for each in errors)
    return answer(INVALID, detail, errors=errors)


async def _invalid(_request: Request, error: Exception) -> Response:
    return answer(INVALID, str(error))


async def _environment(_request: Request, error: Exception) -> Response:
    if is_too_large(error):
        return answer(INVALID, _TOO_LARGE)
    if is_data_error(error):
        log.error("a request had a value that Postgres refuses: %s", type(error).__name__)
        return answer(INTERNAL, _DEFECT)
    known = error if isinstance(error, PetitionLinkError) else classified(error)
    log.warning("a request could not be answered: %s", known)
    for kind, rule in _TOLD.items():
        if isinstance(error, kind):
            return answer(UNAVAILABLE, str(error), rule)
    return answer(UNAVAILABLE, "the node cannot answer now; nothing was changed: ask again later")


# Errors of the environment whose text a client reads, each with its rule.
_TOLD: dict[type[Exception], str] = {
    NotConfirmed: "not_confirmed",
    OutcomeUnknown: "",
    ClockWrong: "clock_wrong",
}

_TOO_LARGE = (
    "a value is too long or too deeply nested for the node's database; nothing was changed: "
    "send it shorter"
)
_DEFECT = "a defect of the node, which its log describes; nothing was changed"


class Defects:
    """ASGI middleware: answers 500 to a defect 程序缺陷 of ours, and the connection stays open.

    The framework would answer and raise again; the server would then close the connection that it
    has just told the client to keep, and the client's next request would be lost.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; cut it off if its answer had begun, so that it is not taken whole."""
        begun = False

        async def noting_send(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except Exception:
            if begun:
                raise
            log.exception("a request met a defect of ours")
            await answer(INTERNAL, _DEFECT)(scope, receive, send)
