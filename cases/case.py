"""A case 信访件 as the fold of its events shows it.

The same set of events gives the same `Case` on every node (CONTRACT §3). The value is stored
as JSON beside the ledger, so that the next event continues from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple


class Position(NamedTuple):
    """Where an event stands in the fold order of its case."""

    version: int
    emitter: str
    event_id: str


class Gap(NamedTuple):
    """Sequence numbers of one emitter, first to last, that have not arrived 缺失."""

    emitter: str
    first: int
    last: int


class Conflict(NamedTuple):
    """An event that was not legal where it stood 冲突: kept, marked, without effect."""

    event_id: str
    rule: str


class State:
    """States 状态 of the main line."""

    UNKNOWN = "unknown"  # 未知: the registration has not arrived
    REGISTERED = "registered"  # 登记
    FORWARDED = "forwarded"  # 转送
    ASSIGNED = "assigned"  # 交办
    LANDED = "landed"  # 落地接收
    ACCEPTED = "accepted"  # 受理
    DECIDED = "decided"  # 出具处理意见书
    SERVED = "served"  # 送达
    CLOSED = "closed"  # 办结


@dataclass(slots=True)
class Case:
    """The present of a case. Instants are micros; `milestones` maps a state to its instant."""

    case_id: str
    state: str = State.UNKNOWN
    registered_by: str | None = None
    handled_by: str | None = None
    participants: list[str] = field(default_factory=list)
    registration: dict[str, Any] = field(default_factory=dict)
    milestones: dict[str, int] = field(default_factory=dict)
    rule_set: str = ""
    outcome: str | None = None
    evaluations: dict[str, str] = field(default_factory=dict)
    version: int = 0
    position: Position | None = None
    sequences: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    @property
    def incomplete(self) -> bool:
        """Whether events are known to be missing."""
        return bool(self.gaps) or self.state == State.UNKNOWN

    def copy(self) -> Case:
        """An equal case that can be changed without changing this one."""
        return replace(
            self,
            participants=[*self.participants],
            milestones={**self.milestones},
            evaluations={**self.evaluations},
            sequences={**self.sequences},
            gaps=[*self.gaps],
            conflicts=[*self.conflicts],
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON value from which `from_json` makes an equal case."""
        value = {name: getattr(self, name) for name in _FIELDS}
        value["position"] = self.position and [*self.position]
        value["gaps"] = [[*gap] for gap in self.gaps]
        value["conflicts"] = [[*conflict] for conflict in self.conflicts]
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Case:
        """The case that `to_json` wrote."""
        case = cls(**value)
        case.position = Position(*value["position"]) if value["position"] else None
        case.gaps = [Gap(*gap) for gap in value["gaps"]]
        case.conflicts = [Conflict(*conflict) for conflict in value["conflicts"]]
        return case


_FIELDS = tuple(one.name for one in fields(Case))
