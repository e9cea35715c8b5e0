"""`GET /v1/indicators` 指标 and `/v1/rising`: the matters raised lately 近期反映."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from node.entrypoints.web.api.parameters import MAX_LIMIT, Day
from node.entrypoints.web.problems import problem_responses
from node.entrypoints.web.services import ServicesOf
from node.queries.figures.indicators import indicators
from node.queries.figures.periods import period, today
from node.queries.figures.rising import rising

router = APIRouter(prefix="/v1", tags=["figures"])


class Ratio(BaseModel):
    """A share; `value` is null (n/a) if there was nothing to count."""

    numerator: int
    denominator: int
    value: float | None


class ReplyParts(BaseModel):
    """The outcomes of the replies that were due in the period."""

    on_time: int
    late: int
    not_yet_due: int
    overdue_open: int


class ReplyRatio(Ratio):
    """On-time reply 按期答复率 with its parts."""

    parts: ReplyParts


class Volume(BaseModel):
    """Cases 件次 and persons 人次."""

    cases: int
    persons: int


class Volumes(BaseModel):
    """By the day of registration, of the petition, of the exchange."""

    registration: Volume
    petition: Volume
    exchange: Volume


class Figures(BaseModel):
    """The indicators of one node or of all; docs/indicators.md says what each counts."""

    timely_acceptance_office: Ratio
    timely_acceptance_unit: Ratio
    on_time_reply: ReplyRatio
    participation_office: Ratio
    participation_unit: Ratio
    satisfaction_office: Ratio
    satisfaction_unit: Ratio
    repeat_rate: Ratio
    online_share: Ratio
    landing: Ratio
    answered_within_15_days: Ratio
    answered_within_60_days: Ratio
    volumes: Volumes


class NodeFigures(Figures):
    """The indicators of a node; `node` is null for what nobody handles."""

    node: str | None
    name: str | None


class Indicators(BaseModel):
    """Indicators by node and in total over the days `from` to `to`, both inside."""

    from_: date = Field(alias="from")
    to: date
    at: datetime
    by_date: str
    total: Figures
    nodes: list[NodeFigures]


class RisingPeriod(BaseModel):
    """A period and its volume."""

    from_: date = Field(alias="from")
    to: date
    cases: int


class RisingItem(BaseModel):
    """A matter; its `key` begins with the wider matters; null means "not stated"."""

    key: list[str | None]
    current: int
    previous: int
    difference: int
    ratio: float | None
    new: bool


class Rising(BaseModel):
    """The matters that are raised, those that rise most first."""

    by: str
    current: RisingPeriod
    previous: RisingPeriod
    keys: int
    items: list[RisingItem]


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
    responses=problem_responses(),
)
def get_indicators(
    query: Annotated[IndicatorQuery, Query()], services: ServicesOf
) -> dict[str, Any]:
    """Return the indicators; `value` is null (n/a) if the denominator is 0."""
    with services.heavy() as connection:
        return indicators(connection, query.from_, query.to, by_date=query.by_date)


@router.get(
    "/rising",
    summary="What people raise of late 近期反映",
    response_model=Rising,
    responses=problem_responses(),
)
def get_rising(query: Annotated[RisingQuery, Query()], services: ServicesOf) -> dict[str, Any]:
    """Return volumes of the last days and of as many days before, rising ones first."""
    last = query.to or today()
    period(last, last)  # raises for a day from which one cannot count back
    with services.heavy() as connection:
        return rising(connection, last, query.days, query.by, limit=query.limit)
