"""Which cases are evaluated at all 可评价: first ones, not those before a court or of another
statutory channel 法定途径 (docs/domain.md §4)."""

from __future__ import annotations

from cases.case import Case

# Article 31, items 1 to 4 of XF2022: court, arbitration, party appeal, reconsideration. That these
# are the statutory channels, and items 5 and 6 are not, is an assumption 假设 of ours.
_STATUTORY_PATHS = frozenset("1234")


def is_statutory(case: Case) -> bool:
    """Whether the matter belongs to a court or to another statutory channel."""
    shown = case.registration.get
    return bool(shown("litigation")) or (
        shown("petition_class") == "claim" and shown("claim_path") in _STATUTORY_PATHS
    )


def is_evaluable(case: Case) -> bool:
    """Whether evaluations of this case are taken, and one is still missing."""
    missing = [
        one for one in ("office", "unit") if case.evaluations.get(one, "expired") == "expired"
    ]
    return case.finding != "repeat" and not is_statutory(case) and bool(missing)
