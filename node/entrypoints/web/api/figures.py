"""`GET /v1/indicators` 指标 and `/v1/rising`: what people raise of late 近期反映."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from node.entrypoints.web.api.figure_models import Indicators, Rising
from node.entrypoints.web.api.parameters import MAX_LIMIT, Day
from node.entrypoints.web.api.problem_responses import problems
from node.entrypoints.web.services import ServicesOf
from node.queries.figures.indicators import indicators
from node.queries.figures.periods import period, today
from node.queries.figures.rising import rising

router = APIRouter(prefix="/v1", tags=["figures"])


class IndicatorQuery(BaseModel):
    """The period, days in China, first and last inside."""

    model_config = ConfigDict(extra="forbid")

    from_: Day = Field(alias="from", description="First day 起始日.")
    to: Day = Field(description="Last day 截止日, inside.")
    by_date: Literal["registration", "petition", "exchange"] = Field(
        "registration", description="The date on which the online share is taken 统计口径."
    )


class RisingQuery(BaseModel):
    """The days up to `to` against as many before."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(30, ge=1, le=366)
    by: Literal["category", "category_2", "category_3", "area", "province", "channel"] = "category"
    to: Day | None = Field(None, description="Last day, inside; today in China if left out.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT)


@router.get(
    "/indicators",
    summary="Indicators by node and in total 指标",
    response_model=Indicators,
    responses=problems(),
)
def get_indicators(
    query: Annotated[IndicatorQuery, Query()], services: ServicesOf
) -> dict[str, Any]:
    """Each with numerator and denominator; `value` is null (n/a) where there was none to count."""
    with services.heavy() as connection:
        return indicators(connection, query.from_, query.to, by_date=query.by_date)


@router.get(
    "/rising",
    summary="What people raise of late 近期反映",
    response_model=Rising,
    responses=problems(),
)
def get_rising(query: Annotated[RisingQuery, Query()], services: ServicesOf) -> dict[str, Any]:
    """Volumes of the last days against as many days before, rising ones first."""
    last = query.to or today()
    period(last, last)  # refuses a day too far off to count back from
    with services.heavy() as connection:
        return rising(connection, last, query.days, query.by, limit=query.limit)
