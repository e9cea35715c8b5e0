"""What a column can be mapped to: the fields of the schemas that a person may fill in.

Names of targets:
- `title`, `channel`, …: a field of case.registered;
- `registered_at`: when the case was registered 登记时间, the `occurred_at` of that event;
- `petitioner.name`, …: the petitioner 信访人;
- `decide.opinion`, …: a field of a handling command; `decide.at`: when it was done.
Kinds, limits and codes come from the schemas, so that no rule stands in two places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final

from schemas.catalogue import catalogue
from schemas.event import ENVELOPE_FIELDS
from schemas.petitioner import MAX_FIELD_CHARACTERS, PETITIONER_FIELDS

REGISTERED_AT: Final = "registered_at"
AT: Final = "at"

# The parts of a row that targets belong to; the others are the handling commands.
REGISTERED: Final = "registered"
PETITIONER: Final = "petitioner"

# Handling 办理 in the order of a case's life, each only after the one before it.
HANDLING: Final = {
    "accept": "petition.case.accepted.v1",
    "decide": "petition.case.decided.v1",
    "serve": "petition.case.served.v1",
    "close": "petition.case.closed.v1",
}

# What makes a row a case; the schemas themselves require less, as commands fill in the rest.
_REQUIRED_OF_A_ROW = ("origin_number", "channel", "received_at", "title")

# Longer than this is prose, whose line breaks and indents are kept.
_ONE_LINE_CHARACTERS = 500


class Kind(Enum):
    """How a cell is read; the value is what an error calls it."""

    LINE = "text of one line"
    TEXT = "text"
    INSTANT = "date"
    NUMBER = "whole number"
    FLAG = "是 or 否"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Target:
    """A field that a column can fill. `max_length` is in characters, in items for a list."""

    name: str
    kind: Kind
    max_length: int | None = None
    codes: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    required: bool = False


@cache
def targets() -> dict[str, Target]:
    """All targets by name, in the order of the schemas."""
    found = [*_registered(), *_petitioner(), *_handling()]
    return {target.name: target for target in found}


def parts_of(name: str) -> tuple[str, str]:
    """The part that a target belongs to, and its field there."""
    part, dot, field = name.partition(".")
    return (part, field) if dot else (REGISTERED, name)


def required_targets() -> list[str]:
    """What every mapping must fill, by a column or a constant."""
    return [name for name in targets() if name in _REQUIRED_OF_A_ROW]


def _registered() -> Iterator[Target]:
    for target in _fields_of("petition.case.registered.v1", ""):
        yield target
        if target.name == "received_at":
            yield Target(REGISTERED_AT, Kind.INSTANT)


def _petitioner() -> Iterator[Target]:
    for field in PETITIONER_FIELDS:
        yield Target(f"{PETITIONER}.{field}", Kind.LINE, MAX_FIELD_CHARACTERS)


def _handling() -> Iterator[Target]:
    for command, event_type in HANDLING.items():
        yield Target(f"{command}.{AT}", Kind.INSTANT, required=True)
        yield from _fields_of(event_type, f"{command}.")


def _fields_of(event_type: str, prefix: str) -> Iterator[Target]:
    for field in catalogue().by_type[event_type].avro["fields"]:
        if field["name"] in ENVELOPE_FIELDS or field.get("computed"):
            continue
        kind = _kind(field)
        if kind is not None:
            yield Target(
                prefix + field["name"],
                kind,
                field.get("max_length"),
                tuple(field.get("codes", ())),
                field.get("minimum"),
                field.get("maximum"),
                bool(field.get("required")),
            )


def _kind(field: dict[str, Any]) -> Kind | None:
    """How a cell for this field is read; None if no cell can hold it (attachments)."""
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    type_ = next(t for t in types if t != "null")
    if type_ == "string":
        long = (field.get("max_length") or 0) > _ONE_LINE_CHARACTERS
        return Kind.TEXT if long else Kind.LINE
    if isinstance(type_, dict):
        return _logical_kind(type_)
    return {"boolean": Kind.FLAG, "int": Kind.NUMBER, "long": Kind.NUMBER}.get(type_)


def _logical_kind(type_: dict[str, Any]) -> Kind | None:
    if type_["type"] == "long" and type_.get("logicalType") == "timestamp-micros":
        return Kind.INSTANT
    if type_["type"] == "array" and type_["items"] == "string":
        return Kind.LIST
    return None
