"""The answers 应答 of the API, as OpenAPI shows them. Instants are RFC 3339 with zone."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field


class FieldError(BaseModel):
    """One parameter that is wrong."""

    place: str
    name: str
    detail: str


class Problem(BaseModel):
    """Problem details, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    rule: str = Field(description="A stable short name for programs 规则名.")
    errors: list[FieldError] | None = None
    reasons: list[str] | None = None


class CommandDone(BaseModel):
    """A command that was done 已执行."""

    ok: Literal[True]
    case_id: str
    event_id: str
    event_type: str
    version: int
    state: str
    query_code: str | None = Field(
        description="The petitioner's query code 查询码 of a new case; shown this once."
    )


class CommandNotDone(Problem):
    """A command that was not done 未执行: refused by a rule or wrong in a field."""

    ok: Literal[False]


class CommandResults(BaseModel):
    """One result for each command, in order."""

    results: list[CommandDone | CommandNotDone]


class CaseItem(BaseModel):
    """A case in a list 信访件."""

    case_id: str
    state: str
    title: str | None
    channel: str | None
    area: str | None
    content_category_1: str | None
    content_category_2: str | None
    content_category_3: str | None
    petition_class: str | None
    claim_path: str | None
    rule_set: str | None
    persons: int | None
    urgent: bool | None
    is_group: bool | None
    registered_by: str | None
    handled_by: str | None = Field(description="null: nobody is responsible 无承办节点.")
    participants: list[str]
    finding: str | None = Field(description="first 初次 or repeat 重复; null: not decided.")
    repeat_of: str | None
    outcome: str | None
    received_at: datetime | None
    registered_at: datetime | None
    accepted_at: datetime | None
    decided_at: datetime | None
    served_at: datetime | None
    closed_at: datetime | None
    version: int
    in_conflict: bool
    incomplete: bool


class CasePage(BaseModel):
    """A page of a list of cases; `next` is null on the last one."""

    items: list[CaseItem]
    next: str | None


class CaseClock(BaseModel):
    """A deadline 时限 of a case; it runs while `ended_at` is null."""

    clock: str
    owner: str
    event_id: str
    started_at: datetime
    due_at: datetime
    provisional: bool
    met_at: datetime | None
    ended_at: datetime | None


class CaseEvaluation(BaseModel):
    """An evaluation 评价 of the petition office or the responsible unit."""

    object: str
    result: str
    reason: str
    evaluated_at: datetime


class CaseSupervision(BaseModel):
    """A supervision 督办."""

    supervision_id: str
    kind: str
    grounds: list[int]
    issued_by: str
    node: str
    issued_at: datetime
    due_at: datetime | None
    replied_at: datetime | None
    lifted_at: datetime | None


class CaseGap(BaseModel):
    """Sequence numbers of one emitter, first to last, that have not arrived 缺失."""

    emitter: str
    first: int
    last: int


class CaseConflict(BaseModel):
    """An event without effect, because it was not legal at its place 冲突."""

    event_id: str
    rule: str


class CaseDetail(CaseItem):
    """A case with all that this node knows of it."""

    clocks: list[CaseClock]
    evaluations: list[CaseEvaluation]
    supervisions: list[CaseSupervision]
    gaps: list[CaseGap]
    conflicts: list[CaseConflict]


class CaseEvent(BaseModel):
    """An event 事件 with the attributes of CloudEvents 1.0; sealed parts of `data` stay sealed."""

    specversion: Literal["1.0"]
    id: str
    type: str
    source: str
    subject: str = Field(description="The case id 信访件编号.")
    time: datetime = Field(description="When the emitter recorded it; = recorded_at.")
    datacontenttype: Literal["application/json"]
    traceparent: str
    version: int
    emitter: str
    emitter_sequence: int
    occurred_at: datetime
    recorded_at: datetime
    exchanged_at: datetime | None = Field(description="When it was applied here; null: our own.")
    actor: str
    rule_set: str
    data: dict[str, Any]


class EventPage(BaseModel):
    """A page of a case's events in fold order; `next` is null on the last one."""

    items: list[CaseEvent]
    next: str | None


class FeedPage(BaseModel):
    """A page of the feed; `next` is always there: ask again with it for what comes later."""

    items: list[CaseEvent]
    next: str
    restored: bool = Field(
        False,
        description="The database was restored since `after` was given: the page goes on from the "
        "last event known to be common, so events may come again. Known by `id`.",
    )


class OutboxTopic(BaseModel):
    """The events that wait to be published to one topic."""

    topic: str
    pending: int
    published: int
    oldest_pending_seconds: float


class PartitionStatus(BaseModel):
    """The applied position of one partition, and its lag."""

    topic: str
    partition: int
    position: int
    end: int
    lag_records: int
    lag_seconds: float | None


class OnlyHere(BaseModel):
    """Own events that would be lost with this database: the own topic has not got them yet."""

    events: int
    oldest_seconds: float
    cases_to_look_at: int


class StoppedPartition(BaseModel):
    """A partition that the consumer cannot read on, why, and for how many seconds."""

    topic: str
    partition: int
    reason: str
    detail: str
    seconds: float


class Status(BaseModel):
    """A part of `petitionlink status --format json`; partitions are null while Kafka is away."""

    node: str
    events: int
    cases: int
    incomplete_cases: int
    cases_with_conflicts: int
    dead_letters_open: int
    takes_commands: bool
    own_events_only_here: OnlyHere
    outbox: list[OutboxTopic]
    partitions: list[PartitionStatus] | None
    stopped: list[StoppedPartition]


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"]


class Ready(BaseModel):
    """The node can answer; partitions that its consumer cannot read on do not change that."""

    status: Literal["ready"]
    stopped: list[StoppedPartition]
