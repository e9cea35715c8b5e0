"""A case 信访件 as the fold of its events computes it.

The same set of events gives the same `Case` on every node (docs/contract.md §3). It is stored as
JSON beside the ledger, so that the next event continues from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, NamedTuple, Protocol


class Fact(Protocol):
    """A fact 事实 that rules and clocks judge: an event, or what a command would make one of."""

    @property
    def type(self) -> str: ...
    @property
    def emitter(self) -> str: ...
    @property
    def occurred_at(self) -> int: ...
    @property
    def body(self) -> dict[str, Any]: ...


class Position(NamedTuple):
    """The place of an event in the fold order of its case."""

    version: int
    emitter: str
    event_id: str


class Gap(NamedTuple):
    """A range of sequence numbers of one emitter that have not arrived 缺失."""

    emitter: str
    first: int
    last: int


class Conflict(NamedTuple):
    """An event that was not legal at its place 冲突: it is kept and marked, and has no effect."""

    event_id: str
    rule: str


class Clock(NamedTuple):
    """A deadline 时限 that `event_id` started for node `owner`; instants in micros.

    `met_at` is when its duty was done, `ended_at` when it was met, replaced or cancelled. It runs
    while `ended_at` is None.
    """

    clock: str
    event_id: str
    owner: str
    started_at: int
    due_at: int
    provisional: bool
    calendar: str
    met_at: int | None = None
    ended_at: int | None = None

    @property
    def runs(self) -> bool:
        return self.ended_at is None


class State:
    """The states 状态 of a case."""

    UNKNOWN = "unknown"  # 未知: the registration has not arrived
    REGISTERED = "registered"  # 登记
    FORWARDED = "forwarded"  # 转送
    ASSIGNED = "assigned"  # 交办
    LANDED = "landed"  # 落地接收
    OBJECTED = "objected"  # 异议: back with the sender, who rules
    RETURNED = "returned"  # 退回: the objection was agreed to, the sender dispatches again
    ACCEPTED = "accepted"  # 受理
    NOT_ACCEPTED = "not_accepted"  # 不予受理
    NO_LONGER_ACCEPTED = "no_longer_accepted"  # 不再受理
    ACCEPTANCE_OVERRULED = "acceptance_overruled"  # 应受理未受理: must be accepted now
    DIVERTED = "diverted"  # 导入法定途径、移送
    DECIDED = "decided"  # 出具处理意见书
    SERVED = "served"  # 送达
    CLOSED = "closed"  # 办结
    REVIEW_REQUESTED = "review_requested"  # 申请复查
    REVIEW_DECIDED = "review_decided"  # 复查意见
    RECHECK_REQUESTED = "recheck_requested"  # 申请复核
    RECHECK_DECIDED = "recheck_decided"  # 复核意见, final
    WITHDRAWN = "withdrawn"  # 撤回
    MERGED = "merged"  # 并件: goes on in another case


# In these states no node is responsible for the case.
NOBODYS = frozenset({State.UNKNOWN, State.DIVERTED, State.WITHDRAWN, State.MERGED})


@dataclass(slots=True)
class Case:
    """The current state of a case. Instants are micros.

    `milestones` maps a state to when it was last entered, `documents` the name of a document to the
    event that made it, `served` a document to when it was served, `supervisions` the issuing event
    to the supervision. `dispatch` is how the case came to its handler.
    """

    case_id: str
    state: str = State.UNKNOWN
    registered_by: str | None = None
    handled_by: str | None = None
    participants: list[str] = field(default_factory=list)
    registration: dict[str, Any] = field(default_factory=dict)
    milestones: dict[str, int] = field(default_factory=dict)
    rule_set: str = ""
    finding: str | None = None
    repeat_of: str | None = None
    group: bool = False
    merged_into: str | None = None
    dispatch: dict[str, Any] | None = None
    objection: dict[str, str] | None = None
    extended: bool = False
    outcome: str | None = None
    documents: dict[str, str] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    review_outcome: str | None = None
    supervisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluations: dict[str, str] = field(default_factory=dict)
    evaluated_at: dict[str, int] = field(default_factory=dict)
    dissatisfactions: dict[str, str] = field(default_factory=dict)
    clocks: list[Clock] = field(default_factory=list)
    version: int = 0
    position: Position | None = None
    sequences: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    @property
    def incomplete(self) -> bool:
        """Return whether events are known to be missing."""
        return bool(self.gaps) or self.state == State.UNKNOWN

    @property
    def urgent(self) -> bool:
        """Return whether the registration, as corrected, says that it is urgent 重大紧急."""
        return bool(self.registration.get("urgent"))

    def running(self, clock: str) -> Clock | None:
        """Return the running clock of this name, if there is one."""
        return next((one for one in self.clocks if one.clock == clock and one.runs), None)

    def latest(self, clock: str) -> Clock | None:
        """Return the clock of this name that was started last, running or not."""
        return next((one for one in reversed(self.clocks) if one.clock == clock), None)

    def enter(self, state: str, at: int) -> None:
        self.state = state
        self.milestones[state] = at

    def copy(self) -> Case:
        """Return an equal case that can be changed without changing this one.

        Lists and maps are copied but not their items, which effects replace and never change.
        """
        values = [*_VALUES(self)]
        for place, copied in _CONTAINERS:
            values[place] = copied(values[place])
        return Case(*values)

    def __reduce__(self) -> tuple[type[Case], tuple[Any, ...]]:
        """Pickle the values in their order, which takes half the time of names and values."""
        return Case, _VALUES(self)

    def to_json(self, *, whole: bool = False) -> dict[str, Any]:
        """Return a JSON value from which `from_json` makes an equal case.

        Defaults are left out, unless `whole`; then clocks are objects, for readers.
        """
        value = {
            name: present
            for name, present, default in zip(_FIELDS, _VALUES(self), _DEFAULTS, strict=True)
            if whole or present != default
        }
        for name in (
            _TUPLES & value.keys()
        ):  # tuples are written as lists, as JSON readers give them
            value[name] = [[*item] for item in value[name]]
        if value.get("position"):
            value["position"] = [*value["position"]]
        if whole:
            value["clocks"] = [clock._asdict() for clock in self.clocks]
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Case:
        """Return the case that `to_json` wrote."""
        case = cls(**value)
        if case.position:
            case.position = Position(*case.position)
        if case.clocks:
            case.clocks = [Clock(*clock) for clock in case.clocks]
        if case.gaps:
            case.gaps = [Gap(*gap) for gap in case.gaps]
        if case.conflicts:
            case.conflicts = [Conflict(*conflict) for conflict in case.conflicts]
        return case


_TUPLES = {"clocks", "gaps", "conflicts"}
_FIELDS = tuple(one.name for one in fields(Case))
_VALUES = attrgetter(*_FIELDS)


# The id has no default, so it is always written.
_DEFAULTS = (None, *_VALUES(Case(""))[1:])
_CONTAINERS: tuple[tuple[int, Callable[[Any], Any]], ...] = tuple(
    (place, type(default).copy)
    for place, default in enumerate(_DEFAULTS)
    if isinstance(default, list | dict)
)
