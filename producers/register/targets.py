"""What a column can be mapped to: the fields of the schemas that a person may fill in.

Names of targets:
- `title`, `channel`, …: a field of case.registered;
- `registered_at`: when the case was registered 登记时间, the `occurred_at` of that event;
- `petitioner.name`, …: the petitioner 信访人;
- `decide.opinion`, …: a field of a handling command; `decide.at`: when it was done.
Kinds, limits and codes come from the schemas, so that no rule stands in two places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Final

from cases.nodes import NODES
from producers.register.case_steps import HANDLING
from schemas.catalogue import catalogue
from schemas.event import ENVELOPE_FIELDS
from schemas.sealing.petitioner import MAX_FIELD_CHARACTERS, PETITIONER_FIELDS

REGISTERED_AT: Final = "registered_at"
AT: Final = "at"

# The parts of a row that targets belong to; the others are the handling commands.
REGISTERED: Final = "registered"
PETITIONER: Final = "petitioner"

# What makes a row a case; the schemas themselves require less, as commands fill in the rest.
_REQUIRED_OF_A_ROW = ("origin_number", "channel", "received_at", "title")

# Longer than this is prose, whose line breaks and indents are kept.
_ONE_LINE_CHARACTERS = 500

# Deadlines that somebody set: the only dates that may lie ahead.
_AHEAD = ("report_due_at",)
# Fields of one line that hold a number or a code, by their last name.
_CODES = frozenset(
    [
        "origin_number",
        "area",
        "local_category_code",
        "repeat_of",
        "opinion_number",
        "content_category_1",
        "content_category_2",
        "content_category_3",
        "id_number",
        "phone",
    ]
)
_DESTINATION = "to"
_NODE_NAMES: Mapping[str, str] = {node.chinese: code for code, node in NODES.items()}

# What no schema describes, because it is no field of a body.
_ABOUT = {
    REGISTERED_AT: "When it was registered; as received if empty. 登记时刻,空则取信访日期。",
    "petitioner.name": "Name, sealed. 信访人姓名,密封保存。",
    "petitioner.id_type": "Kind of identity document, sealed. 证件类型,密封保存。",
    "petitioner.id_number": "Number of that document, sealed. 证件号码,密封保存。",
    "petitioner.phone": "Telephone, sealed. 电话,密封保存。",
    "petitioner.address": "Address, sealed. 住址,密封保存。",
}


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
    """A field that a column can fill. `max_length` is in characters, in items for a list.

    `about` says what it is, English then Chinese; `words` are names that stand for codes in every
    mapping (node names); a date may lie ahead only if it `is_deadline`.
    """

    name: str
    kind: Kind
    max_length: int | None = None
    codes: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    required: bool = False
    about: str = ""
    words: Mapping[str, str] = field(default_factory=dict, hash=False)
    is_deadline: bool = False

    @property
    def holds_code(self) -> bool:
        """True if it is a number or a code, whose characters count one by one."""
        return self.name.rpartition(".")[2] in _CODES


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
            yield Target(REGISTERED_AT, Kind.INSTANT, about=_ABOUT[REGISTERED_AT])


def _petitioner() -> Iterator[Target]:
    for field_name in PETITIONER_FIELDS:
        name = f"{PETITIONER}.{field_name}"
        yield Target(name, Kind.LINE, MAX_FIELD_CHARACTERS, about=_ABOUT[name])


def _handling() -> Iterator[Target]:
    for command, step in HANDLING.items():
        done = f"When it was done. {step.chinese}时刻。"
        yield Target(f"{command}.{AT}", Kind.INSTANT, required=True, about=done)
        yield from _fields_of(step.event_type, f"{command}.")


def _fields_of(event_type: str, prefix: str) -> Iterator[Target]:
    for avro in catalogue().by_type[event_type].avro["fields"]:
        kind = _kind(avro)
        if avro["name"] not in ENVELOPE_FIELDS and not avro.get("computed") and kind is not None:
            yield _target(avro, prefix, kind)


def _target(avro: dict[str, Any], prefix: str, kind: Kind) -> Target:
    leads = avro["name"] == _DESTINATION
    return Target(
        prefix + avro["name"],
        kind,
        avro.get("max_length"),
        tuple(NODES) if leads else tuple(avro.get("codes", ())),
        avro.get("minimum"),
        avro.get("maximum"),
        bool(avro.get("required")),
        avro["doc"],
        _NODE_NAMES if leads else {},
        avro["name"] in _AHEAD,
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
