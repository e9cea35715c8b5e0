"""Decide which nodes an event is sent to 事件去向, by the star of docs/contract.md §1.

The router is the second guard of accusations and secrets: an event that a producer let pass by
mistake goes no further than the centre.
"""

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
    """Return the nodes to which `node` sends an event of `emitter` for a case of `participants`.

    A province sends its own events to the centre and passes nothing on. The centre sends every
    event to each participant except its emitter and those that are `barred`.
    """
    if node != NATIONAL:
        return [NATIONAL] if emitter == node else []
    return [code for code in participants if code not in (NATIONAL, emitter) and code not in barred]


def withheld(emitter: str, known: Iterable[str], barred: frozenset[str]) -> list[str]:
    """Return the receivers of the case to which the centre does not send an event of `emitter`."""
    return [code for code in known if code in barred and code not in (NATIONAL, emitter)]


def barred(case: Case) -> frozenset[str]:
    """Return the nodes that must not get any event of `case`: the accused and their subordinates
    检举控告, or all if an event says that the case is a state secret 涉密."""
    if any(conflict.rule == STATE_SECRET for conflict in case.conflicts):
        return _ALL
    accused = case.registration.get("accused")
    return barred_nodes(accused) if accused else _NONE
