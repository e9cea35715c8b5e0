"""Implausible dates 时间存疑 of events that arrive are marked, never refused.

An event of a node whose clock was wrong is still the petitioner's event. It is applied as it is,
and a row of `implausible_time` says what is wrong with its dates by the broker's clock, because
this node's own clock may be wrong too.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from consumers.batch import Batch
from node.postgres.connection import Cursor
from node.postgres.statements import columns
from schemas.event import Event
from schemas.instants import text_of

# 1949-10-01: no petition is older than the state that it is addressed to.
_EARLIEST: Final = -639_129_600_000_000
_KEEP = """
    insert into implausible_time (event_id, detail)
    select * from unnest(%s::uuid[], %s::text[]) on conflict do nothing
"""


class Doubt(NamedTuple):
    """An event and, in `detail`, what is wrong with its dates."""

    event: Event
    detail: str


def doubts(batch: Batch, now: int | None, bound_seconds: int) -> list[Doubt]:
    """Return the events of `batch` whose dates cannot be true at `now` (micros, broker's clock).

    There are none while `now` is not known.
    """
    if now is None:
        return []
    latest = now + bound_seconds * 1_000_000
    return [
        Doubt(event, _detail(event, latest))
        for _, event, _ in batch.records
        if not (
            _EARLIEST <= event.recorded_at <= latest and _EARLIEST <= event.occurred_at <= latest
        )
    ]


def _detail(event: Event, latest: int) -> str:
    problems = []
    for name, instant in (("occurred", event.occurred_at), ("recorded", event.recorded_at)):
        if instant > latest:
            problems.append(f"{name} at {text_of(instant)}, after it arrived")
        elif instant < _EARLIEST:
            problems.append(f"{name} at {text_of(instant)}, before 1949")
    return "; ".join(problems)


def keep(cursor: Cursor, doubted: Sequence[Doubt]) -> None:
    """Mark these events, in the transaction that applies them."""
    if doubted:
        cursor.execute(_KEEP, columns((event.event_id, detail) for event, detail in doubted))


def by_source(doubted: Iterable[Doubt], new: set[str]) -> Counter[str]:
    """Count the doubted events whose ids are in `new`, by their emitter."""
    emitters = {event.event_id: event.emitter for event, _ in doubted if event.event_id in new}
    return Counter(emitters.values())
