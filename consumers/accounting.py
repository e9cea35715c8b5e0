"""A batch in the accounts 收支: what was received, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date

from consumers.batch import Batch, Poison
from node import accounts
from node.accounts import Entry, day_of, day_of_number, number_of_day
from schemas.errors import Invalid
from schemas.instants import parse_instant


def account(node: str, batch: Batch, fresh: Collection[str]) -> Counter[Entry]:
    """The entries for a batch that `node` applied; `fresh` are the event ids that were new."""
    by_day: Counter[tuple[str, int, str]] = Counter()
    unseen = set(fresh)
    for record, event, _ in batch.arrivals:
        kind = accounts.DUPLICATES
        if event.event_id in unseen:
            unseen.discard(event.event_id)
            kind = accounts.RECOVERED if event.emitter == node else accounts.APPLIED
        by_day[record.topic, number_of_day(event.recorded_at), kind] += 1
    counts: Counter[Entry] = Counter()
    for (topic, number, kind), events in by_day.items():
        day = day_of_number(number)
        counts[Entry(topic, day, kind)] += events
        counts[Entry(topic, day, accounts.RECEIVED)] += events
    for poison in batch.poison:
        for kind in (accounts.RECEIVED, accounts.DEAD_LETTERED):
            counts[Entry(poison.record.topic, day_of_poison(poison), kind)] += 1
    return counts


def day_of_poison(poison: Poison) -> date:
    """The day that its sender counted it on, if it says; else that of its writing to the topic."""
    said = dict(poison.record.headers or ()).get("ce_time") or b""
    try:
        return day_of(parse_instant("ce_time", said.decode()))
    except (Invalid, UnicodeDecodeError):
        return day_of(poison.record.timestamp * 1000)
