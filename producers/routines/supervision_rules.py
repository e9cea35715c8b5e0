"""Decide what to supervise 应督办: compare an overdue duty with what was issued about it.

A supervision is *about* a duty if the centre issued it to the same node, on one of the same
grounds, after the duty was due; or before, and it is still open. After one that is answered 已答复
or lifted 已解除 people decide, not the routine.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cases.nodes import NATIONAL
from producers.routines.supervision_policy import KINDS, Policy, PolicyRule

MICROS_PER_DAY = 86_400_000_000


class Issued(NamedTuple):
    """A supervision of a case; instants in micros."""

    kind: str
    grounds: Sequence[int]
    by: str
    to: str
    issued_at: int
    replied_at: int | None = None
    lifted_at: int | None = None

    @property
    def open(self) -> bool:
        """Return whether it is neither answered nor lifted."""
        return self.replied_at is None and self.lifted_at is None


class Overdue(NamedTuple):
    """An overdue duty: the event that started its clock, and its owner."""

    case_id: str
    clock: str
    event_id: str
    owner: str
    due_at: int


class Proposal(NamedTuple):
    """A supervision that the policy asks for: its kind, rule and reason."""

    case_id: str
    to: str
    rule: str
    kind: str
    grounds: tuple[int, ...]
    clock: str
    due_at: int
    event_id: str
    why: str


def issued_of(supervisions: Iterable[Mapping[str, Any]]) -> list[Issued]:
    """Return the supervisions of a folded case."""
    return [Issued(*(one[name] for name in Issued._fields)) for one in supervisions]


def propose(
    policy: Policy, rule: PolicyRule, duty: Overdue, issued: Iterable[Issued], now: int
) -> Proposal | None:
    """Return what to issue for this duty now, or None."""
    about = [one for one in issued if _is_about(one, rule, duty)]
    if not about:
        return _proposal(rule, duty, rule.kind, f"overdue since {_days(duty.due_at, now)} d")
    if not all(one.open for one in about):
        return None
    last = max(about, key=lambda one: (KINDS.index(one.kind), one.issued_at))
    patience = policy.patience_days(last.kind)
    if last.kind == KINDS[-1] or patience is None:
        return None
    if now - last.issued_at < patience * MICROS_PER_DAY:
        return None
    why = f"{last.kind} and unanswered since {_days(last.issued_at, now)} d"
    return _proposal(rule, duty, KINDS[KINDS.index(last.kind) + 1], why)


def _is_about(one: Issued, rule: PolicyRule, duty: Overdue) -> bool:
    same = (
        one.by == NATIONAL and one.to == duty.owner and not {*one.grounds}.isdisjoint(rule.grounds)
    )
    return same and (one.open or one.issued_at >= duty.due_at)


def _proposal(rule: PolicyRule, duty: Overdue, kind: str, why: str) -> Proposal:
    return Proposal(
        *(duty.case_id, duty.owner, rule.name, kind, tuple(rule.grounds)),
        *(duty.clock, duty.due_at, duty.event_id, why),
    )


def _days(since: int, now: int) -> int:
    return (now - since) // MICROS_PER_DAY
