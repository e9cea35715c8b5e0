"""`GET /v1/status`, `/healthz` and `/readyz` 运行状态."""

import logging
from typing import Any

import psycopg2
from fastapi import APIRouter
from starlette.responses import Response

from node.entrypoints.web.api.models import Health, Ready, Status
from node.entrypoints.web.problems import UNAVAILABLE, answer, problem_responses
from node.entrypoints.web.services import Services, ServicesOf
from node.postgres.schema_version import check_version, schema_version
from node.postgres.synchronous_standby import description, unconfirmed_seconds
from node.queries.status import read_status, stopped_partitions
from node.runtime.errors import OtherRelease
from node.runtime.watchdog import answered_within
from schemas.errors import PetitionLinkError

log = logging.getLogger(__name__)
router = APIRouter(tags=["status"])

# A client that asks for readiness gives up soon.
_READY_SECONDS = 3.0


@router.get(
    "/v1/status",
    summary="Does this node keep up? 运行状态",
    response_model=Status,
    responses=problem_responses(),
)
def get_status(services: ServicesOf) -> dict[str, Any]:
    """Return counts, outbox, position and lag of each partition (null while Kafka is away)."""
    partitions = services.partitions.read(services.settings, services.connections)
    with services.connections() as connection:
        status = read_status(connection, services.settings.node)
    return {**status, "partitions": partitions}


@router.get("/healthz", summary="The process lives 存活", response_model=Health)
async def get_health() -> dict[str, str]:
    """Answer without asking Postgres or Kafka, which a restart of this process would not help."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="The node can answer 就绪",
    response_model=Ready,
    responses=problem_responses(),
)
def get_ready(services: ServicesOf) -> Any:
    """Answer whether Postgres confirms commits and its database is of this node and release.

    A node with stopped partitions, which it names, is ready: it takes commands and publishes them.
    """
    try:
        waiting, stopped = _read(services)
    except OtherRelease as error:
        return _not_ready(str(error))
    except (PetitionLinkError, psycopg2.Error) as error:
        log.warning("not ready: %s", error)
        return _not_ready("the node's database does not answer or is not this node's: see the log")
    return _not_ready(description(waiting)) if waiting else {"status": "ready", "stopped": stopped}


def _not_ready(reason: str) -> Response:
    return answer(UNAVAILABLE, reason, "not_ready", reasons=[reason])


def _read(services: Services) -> tuple[float, list[dict[str, Any]]]:
    """Return for how many seconds a commit waits for a standby, and the stopped partitions."""
    with (
        services.connections() as connection,
        answered_within(connection, _READY_SECONDS),
    ):
        with connection, connection.cursor() as cursor:
            check_version(cursor, services.settings.node, schema_version())
            waiting = unconfirmed_seconds(cursor)
        return waiting, stopped_partitions(connection)
