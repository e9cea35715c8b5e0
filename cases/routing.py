"""Who gets an event 事件去向: the star of docs/contract.md §1 as one pure decision.

The router is the second guard of accusations and secrets: what a producer let pass by mistake
goes no further than the centre.
"""

from __future__ import annotations

from collections.abc import Iterable

from cases.accusation import barred_nodes
from cases.case import Case
from cases.nodes import NATIONAL, NODES
from cases.rules.registration import STATE_SECRET

_ALL = frozenset(NODES)
_NONE: frozenset[str] = frozenset()


def recipients(
    node: str, emitter: str, participants: Iterable[str], barred: frozenset[str] = _NONE
) -> list[str]:
    """The nodes to which `node` sends an event of `emitter` for a case of `participants`.

    A province sends its own events to the centre and passes nothing on. The centre sends every
    event to each participant but the one that emitted it and those that are `barred`.
    """
    if node != NATIONAL:
        return [NATIONAL] if emitter == node else []
    return [code for code in participants if code not in (NATIONAL, emitter) and code not in barred]


def withheld(emitter: str, known: Iterable[str], barred: frozenset[str]) -> list[str]:
    """The nodes that the centre sends the case to and now does not send an event of `emitter`."""
    return [code for code in known if code in barred and code not in (NATIONAL, emitter)]


def barred(case: Case) -> frozenset[str]:
    """The nodes that nothing of `case` may be sent to: the accused and those under them, or all
    of them if an event that says that it is a state secret slipped in 检举控告、涉密."""
    if any(conflict.rule == STATE_SECRET for conflict in case.conflicts):
        return _ALL
    accused = case.registration.get("accused")
    return barred_nodes(accused) if accused else _NONE
