"""Tell which cases are evaluated 可评价: first ones, unless a court or another statutory channel
法定途径 has them (docs/domain.md §4)."""

from cases.case import Case

OBJECTS = ("office", "unit")
# Article 31, items 1 to 4 of XF2022: court, arbitration, party appeal, reconsideration. That these
# are the statutory channels, and items 5 and 6 are not, is an assumption 假设 of ours.
_STATUTORY_PATHS = frozenset("1234")


def is_statutory(case: Case) -> bool:
    """Return whether the matter belongs to a court or to another statutory channel."""
    shown = case.registration.get
    return bool(shown("litigation")) or (
        shown("petition_class") == "claim" and shown("claim_path") in _STATUTORY_PATHS
    )


def is_evaluable(case: Case) -> bool:
    """Return whether this case is evaluated and an evaluation is still missing."""
    is_missing = any(case.evaluations.get(about, "expired") == "expired" for about in OBJECTS)
    return case.finding != "repeat" and not is_statutory(case) and is_missing
