"""Read a rule set from its file and refuse an invalid file with one line."""

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from cases.regulations.model import (
    APPLIES,
    OWNERS,
    SOURCES,
    STARTS,
    UNITS,
    ClockRule,
    MatterClass,
    Regulation,
)
from schemas.errors import Invalid

_CHOICES = {
    "unit": UNITS,
    "starts": STARTS,
    "owner": OWNERS,
    "source": SOURCES,
    "applies": APPLIES,
    "pause": frozenset({"", "hearing"}),
    "unclassed_as": APPLIES - {"all"} | {""},
}


def read(path: Path) -> Regulation:
    """Return the rule set in this file; raise `Invalid`, naming file, entry and problem."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from None
    try:
        return _regulation(table)
    except ValueError as error:
        raise Invalid(f"{path.name}: {error}") from None


def _regulation(table: dict[str, Any]) -> Regulation:
    _check("", Regulation, table)
    for name in ("classes", "claim_paths"):
        table[name] = {
            key: MatterClass(**_check(f"{name}.{key}.", MatterClass, row))
            for key, row in table[name].items()
        }
    table["clocks"] = {key: _clock(key, row) for key, row in table["clocks"].items()}
    for name in ("articles", "grounds"):
        for key, value in table[name].items():
            if not isinstance(value, str):
                raise ValueError(f"{name}.{key} is {value!r}, which is no text")
    return Regulation(**table)


def _clock(key: str, row: Any) -> ClockRule:
    where = f"clocks.{key}."
    if isinstance(row, dict):
        row = {"id": key, **row}
    rule = ClockRule(**_check(where, ClockRule, row))
    if rule.id != key:
        raise ValueError(f"{where}id is {rule.id!r}: leave it out, the heading is the id")
    if (rule.length == 0) != (rule.unit == "named") or rule.length < 0:
        raise ValueError(f"{where}length is {rule.length} with unit {rule.unit}")
    shares = [*rule.tiers.values()]
    if not all(type(share) is int for share in shares):
        raise ValueError(f"{where}tiers must be whole numbers of days")
    if shares and sum(shares) != rule.length:
        raise ValueError(f"{where}tiers add up to {sum(shares)}, not to {rule.length}")
    return rule


def _check(where: str, model: Any, row: Any) -> dict[str, Any]:
    """Return the row; raise `ValueError` unless keys, types and choices are those of the model."""
    if not isinstance(row, dict):
        raise ValueError(f"{where.rstrip('.')} is no table")
    hints = get_type_hints(model)
    for key, value in row.items():
        if key not in hints:
            raise ValueError(f"{where}{key} is unknown: known are {', '.join(hints)}")
        if not _fits(hints[key], value):
            raise ValueError(f"{where}{key} is {value!r}, which is of the wrong type")
        if key in _CHOICES and value not in _CHOICES[key]:
            known = ", ".join(map(repr, sorted(_CHOICES[key])))
            raise ValueError(f"{where}{key} is {value!r}: use one of {known}")
    for key in hints:
        if key not in row and key not in model._field_defaults:
            raise ValueError(f"{where}{key} is missing")
    return row


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) is Mapping:
        return isinstance(value, dict)
    return type(value) is (hint if hint in (str, int, bool) else date)
