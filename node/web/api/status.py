"""`GET /v1/status`, `/healthz` and `/readyz` 运行状态."""

from __future__ import annotations

import logging
from typing import Any

import psycopg2
from fastapi import APIRouter

from node.postgres import migrations
from node.queries.status import counts, outbox_by_topic, stopped_partitions
from node.web.api.documented import problems
from node.web.api.models import Health, Ready, Status
from node.web.problems import UNAVAILABLE, answer
from node.web.services import Services, ServicesOf
from schemas.errors import PetitionLinkError

log = logging.getLogger(__name__)
router = APIRouter(tags=["status"])

_APPLIED = "select max(number) from schema_migration"


@router.get(
    "/v1/status",
    summary="Does this node keep up? 运行状态",
    response_model=Status,
    responses=problems(),
)
def get_status(services: ServicesOf) -> dict[str, Any]:
    """Counts, outbox, and position, end and lag of each partition (null while Kafka is away)."""
    partitions = services.standing.look(services.settings, services.connections)
    with services.connections() as connection:
        return {
            "node": services.settings.node,
            **counts(connection),
            "outbox": outbox_by_topic(connection),
            "partitions": partitions,
            "stopped": stopped_partitions(connection),
        }


@router.get("/healthz", summary="The process lives 存活", response_model=Health)
async def get_health() -> dict[str, str]:
    """Asks nothing of Postgres or Kafka: restarting this process would not bring them back."""
    return {"status": "ok"}


@router.get(
    "/readyz", summary="The node can answer 就绪", response_model=Ready, responses=problems()
)
def get_ready(services: ServicesOf) -> Any:
    """Postgres answers, and the database is of this node and of this release."""
    reasons = _reasons(services)
    if not reasons:
        return {"status": "ready"}
    return answer(UNAVAILABLE, "; ".join(reasons), "not_ready", reasons=reasons)


def _reasons(services: Services) -> list[str]:
    try:
        with services.connections() as connection, connection, connection.cursor() as cursor:
            cursor.execute(_APPLIED)
            (applied,) = cursor.fetchone() or (None,)
    except (PetitionLinkError, psycopg2.Error) as error:
        log.warning("not ready: %s", error)
        return ["the node's database does not answer or is not this node's: see the log"]
    shipped = max(step.number for step in migrations())
    if applied != shipped:
        return [f"the database is at migration {applied} and this release at {shipped}: "
                "run `petitionlink migrate`"]  # fmt: skip
    return []
