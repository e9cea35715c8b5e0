"""Which clocks are duties 责任时限: they can be overdue. Windows are rights and only lapse."""

from __future__ import annotations

from functools import cache

from cases.regulations import RULE_SETS, regulation
from schemas.errors import Invalid


@cache
def duties() -> tuple[str, ...]:
    """The clocks that are a duty in any rule set, each tier's share of one too, in order."""
    names = set()
    for rule_set in RULE_SETS:
        for rule in regulation(rule_set).clocks.values():
            if rule.duty:
                names |= {rule.id, *(f"{rule.id}-{tier}" for tier in rule.tiers)}
    return tuple(sorted(names))


def chosen_duties(clock: str | None) -> list[str]:
    """One duty, or all of them; `Invalid` for a clock that is none."""
    if clock is None:
        return [*duties()]
    if clock not in duties():
        raise Invalid(f"clock {clock} is no duty: choose of {', '.join(duties())}")
    return [clock]
