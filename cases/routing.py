"""Who gets an event 事件去向: the star of CONTRACT §1 as one pure decision."""

from __future__ import annotations

from collections.abc import Iterable

from cases.nodes import NATIONAL


def recipients(node: str, emitter: str, participants: Iterable[str]) -> list[str]:
    """The nodes to which `node` sends an event of `emitter` for a case of `participants`.

    A province sends its own events to the centre and passes nothing on. The centre sends every
    event to each participant but the one that emitted it.
    """
    if node != NATIONAL:
        return [NATIONAL] if emitter == node else []
    return [code for code in participants if code not in (NATIONAL, emitter)]
