"""The rule sets 法规 as data, one file each, and the one that applies to a case.

XF2005 《信访条例》 holds from 2005-05-01 to 2022-04-30, XF2022 《信访工作条例》 from 2022-05-01.
That a case keeps the rule set of its registration is an assumption of ours, as is XF2005 for
the years before it.
"""

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from cases.regulations.loader import read
from cases.regulations.model import ClockRule, MatterClass, Regulation
from schemas.errors import Invalid
from schemas.instants import CHINA, micros_at

__all__ = ["RULE_SETS", "ClockRule", "MatterClass", "Regulation", "regulation", "rule_set_of"]

RULE_SETS: Final = ("XF2005", "XF2022")

_FOLDER = Path(__file__).parent
_XF2022_FROM = micros_at(datetime(2022, 5, 1, tzinfo=CHINA))


@cache
def regulation(rule_set: str) -> Regulation:
    """Return the rule set of this id, read once; raise `Invalid` if there is none."""
    if rule_set not in RULE_SETS:
        raise Invalid(f"rule_set: {rule_set!r} is unknown: use {' or '.join(RULE_SETS)}")
    return read(_FOLDER / f"{rule_set}.toml")


def rule_set_of(registered_at: int) -> str:
    """Return the rule set of a case registered at this instant (micros)."""
    return "XF2022" if registered_at >= _XF2022_FROM else "XF2005"
