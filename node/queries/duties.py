"""Which clocks are duties 责任时限: they can be overdue. Windows are rights and only lapse."""

from __future__ import annotations

from functools import cache

from cases.regulations import RULE_SETS, regulation
from schemas.errors import Invalid


@cache
def duties() -> tuple[str, ...]:
    """The clocks that are a duty in any rule set, in order."""
    rules = (rule for name in RULE_SETS for rule in regulation(name).clocks.values())
    return tuple(sorted({rule.id for rule in rules if rule.duty}))


def chosen_duties(clock: str | None) -> list[str]:
    """One duty, or all of them; `Invalid` for a clock that is none."""
    if clock is None:
        return [*duties()]
    if clock not in duties():
        raise Invalid(f"clock {clock} is no duty: choose of {', '.join(duties())}")
    return [clock]
