"""Indicators and rising matters 指标与热点, as OpenAPI shows them."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field


class Ratio(BaseModel):
    """A share; `value` is null (n/a) if there was nothing to count."""

    numerator: int
    denominator: int
    value: float | None


class ReplyParts(BaseModel):
    """What became of the replies that were due in the period."""

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
    """A matter; its `key` stands under its wider ones, null is "not stated"."""

    key: list[str | None]
    current: int
    previous: int
    difference: int
    ratio: float | None
    new: bool


class Rising(BaseModel):
    """What is raised more often than before comes first."""

    by: str
    current: RisingPeriod
    previous: RisingPeriod
    keys: int
    items: list[RisingItem]
