"""`POST /v1/commands`: one case command 办件指令 or a list of them."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from cases.vocabulary.event_types import REGISTERED
from node.entrypoints.web.access import Staff
from node.entrypoints.web.api.command_schemas import COMMAND_BODY
from node.entrypoints.web.api.models import CommandDone, CommandResults
from node.entrypoints.web.execute_command import execute
from node.entrypoints.web.idempotency import AnswerKey, KeyReused, keyed_request
from node.entrypoints.web.json_body import read_json
from node.entrypoints.web.problems import (
    INVALID,
    KEY_REUSED,
    KINDS,
    ProblemError,
    answer,
    problem_responses,
)
from node.entrypoints.web.services import Services, ServicesOf, web_key

router = APIRouter(tags=["commands"])

MAX_COMMANDS = 100
_KEY = r"^[!-~]([ -~]{0,198}[!-~])?$"
_KINDS = {kind.uri: kind for kind in KINDS}

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=_KEY,
        description="Printable characters, at most 200. A request that is sent again with the "
        "same key is answered as before and not done again 幂等键.",
    ),
]


@router.post(
    "/v1/commands",
    summary="Do one command or up to 100 办件指令",
    response_model=CommandDone | CommandResults,
    responses={
        201: {"model": CommandDone, "description": "A case was registered 已登记"},
        **problem_responses(400, 409, 413, 415),
    },
    openapi_extra={"requestBody": COMMAND_BODY},
)
async def post_commands(
    request: Request, services: ServicesOf, actor: Staff, key: Key = None
) -> Response:
    """Execute one command and answer with its result or problem, or a list of commands.

    A list is executed in order, each command in its own transaction, and answered with a result for
    each; a command that was not done does not stop the next.
    """
    content_type = request.headers.get("content-type", "")
    body = await request.body()
    # Parsing a long body takes time too, in which the event loop must answer others.
    return await run_in_threadpool(_answer, services, actor, body, content_type, key)


def _answer(
    services: Services, actor: str, body: bytes, content_type: str, key: str | None
) -> Response:
    value = read_json(body, content_type)
    commands = value if isinstance(value, list) else [value]
    _check(commands)
    keyed = None
    if key:
        keys = services.office.keys
        # Releases before this one used the identity key; an answer is kept for two weeks.
        keyed = keyed_request(key, value, web_key(keys, "requests"), keys.identity_key)
    try:
        results = [
            execute(services, actor, command, keyed and AnswerKey(keyed, number))
            for number, command in enumerate(commands)
        ]
    except KeyReused:
        detail = "this key came with another request before: take a new key for a new request"
        raise ProblemError(KEY_REUSED, detail) from None
    return _json({"results": results}) if isinstance(value, list) else _single(results[0])


def _check(commands: list[Any]) -> None:
    if not 0 < len(commands) <= MAX_COMMANDS:
        raise ProblemError(INVALID, f"a list holds 1 to {MAX_COMMANDS} commands: divide it")
    for place, command in enumerate(commands):
        if not isinstance(command, dict):
            raise ProblemError(INVALID, f"[{place}]: a command is a JSON object")


def _single(result: dict[str, Any]) -> Response:
    if not result["ok"]:
        return answer(_KINDS[result["type"]], result["detail"], result["rule"])
    if result["event_type"] != REGISTERED:
        return _json(result)
    return _json(result, 201, {"Location": f"/v1/cases/{result['case_id']}"})


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, "application/json")
