"""Implausible dates 时间存疑 of events that arrive: marked, never refused.

An event of a node whose clock was wrong is still the petitioner's event. It is applied as it is,
and a row of `implausible_time` says what was wrong with its dates, by the broker's clock: whoever
judges others must not judge by a wrong clock of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from consumers.batch import Batch
from node.postgres.connection import Cursor
from schemas.event import Event
from schemas.instants import text_of

# 1949-10-01: no petition is older than the state that it is addressed to.
_EARLIEST: Final = -639_129_600_000_000
_KEEP = """
    insert into implausible_time (event_id, detail)
    select * from unnest(%s::uuid[], %s::text[]) on conflict do nothing
"""


class Doubt(NamedTuple):
    """An event and what is wrong with its dates."""

    event: Event
    detail: str


def doubts(batch: Batch, now: int | None, bound_seconds: int) -> list[Doubt]:
    """The events of `batch` whose dates cannot be true at `now` (micros, by the broker's clock).

    None while that is not known: then nothing is judged.
    """
    if now is None:
        return []
    latest = now + bound_seconds * 1_000_000
    return [
        Doubt(event, _detail(event, latest))
        for _, event, _ in batch.records
        if event.recorded_at > latest
        or event.occurred_at > latest
        or event.recorded_at < _EARLIEST
        or event.occurred_at < _EARLIEST
    ]


def _detail(event: Event, latest: int) -> str:
    found = []
    for name, instant in (("occurred", event.occurred_at), ("recorded", event.recorded_at)):
        if instant > latest:
            found.append(f"{name} at {text_of(instant)}, after it arrived")
        elif instant < _EARLIEST:
            found.append(f"{name} at {text_of(instant)}, before 1949")
    return "; ".join(found)


def keep(cursor: Cursor, several: Sequence[Doubt]) -> None:
    """Mark these events, in the transaction that applies them."""
    if several:
        columns = [one.event.event_id for one in several], [one.detail for one in several]
        cursor.execute(_KEEP, columns)


def by_source(several: Iterable[Doubt], fresh: set[str]) -> Counter[str]:
    """Count the events that are new, by their emitter."""
    emitters = {event.event_id: event.emitter for event, _ in several if event.event_id in fresh}
    return Counter(emitters.values())
