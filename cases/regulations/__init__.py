"""The rule sets 法规 as data: XF2005 《信访条例》 and XF2022 《信访工作条例》, one file each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from cases.regulations.loader import read
from cases.regulations.model import ClockRule, MatterClass, Regulation
from schemas.errors import Invalid

__all__ = ["RULE_SETS", "ClockRule", "MatterClass", "Regulation", "regulation"]

RULE_SETS: Final = ("XF2005", "XF2022")

_FOLDER = Path(__file__).parent


@cache
def regulation(rule_set: str) -> Regulation:
    """The rule set of this id; read once. `Invalid` for an id that is none."""
    if rule_set not in RULE_SETS:
        raise Invalid(f"rule_set: {rule_set!r} is unknown: use {' or '.join(RULE_SETS)}")
    return read(_FOLDER / f"{rule_set}.toml")
