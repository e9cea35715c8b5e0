"""The targets of columns: the fields of the schemas that a person may fill in.

Names of targets:
- `title`, `channel`, …: a field of case.registered;
- `registered_at`: when the case was registered 登记时间, the `occurred_at` of that event;
- `petitioner.name`, …: the petitioner 信访人;
- `decide.opinion`, …: a field of a handling command; `decide.at`: when it was done.
Kinds, limits and codes come from the schemas alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Final

from cases.nodes import NODES
from cases.vocabulary import event_types as types
from producers.register.case_steps import HANDLING
from schemas.catalogue import catalogue
from schemas.event import ENVELOPE_FIELDS
from schemas.sealing.petitioner import MAX_FIELD_CHARACTERS, PETITIONER_FIELDS
from schemas.validation.field_spec import INSTANT

REGISTERED_AT: Final = "registered_at"
AT: Final = "at"

# The parts of a row that targets belong to, besides the handling commands.
REGISTERED: Final = "registered"
PETITIONER: Final = "petitioner"

# A row needs these; the schemas require less, because commands fill in the rest.
_REQUIRED_OF_A_ROW = ("origin_number", "channel", "received_at", "title")

# Longer texts are prose, whose line breaks and indents are kept.
_ONE_LINE_CHARACTERS = 500

# Deadlines, the only dates that may lie in the future.
_DEADLINES = ("report_due_at",)
# Fields of one line that hold a number or a code, by their last name.
_CODES = frozenset(
    [
        *("origin_number", "area", "local_category_code", "repeat_of", "opinion_number"),
        *("content_category_1", "content_category_2", "content_category_3", "id_number", "phone"),
    ]
)
_DESTINATION = "to"
_NODE_NAMES: Mapping[str, str] = {node.chinese: code for code, node in NODES.items()}

# No schema describes these, because they are no fields of a body.
_ABOUT = {
    REGISTERED_AT: "When it was registered; as received if empty. 登记时刻,空则取信访日期。",
    "petitioner.name": "Name, sealed. 信访人姓名,密封保存。",
    "petitioner.id_type": "FieldKind of identity document, sealed. 证件类型,密封保存。",
    "petitioner.id_number": "Number of that document, sealed. 证件号码,密封保存。",
    "petitioner.phone": "Telephone, sealed. 电话,密封保存。",
    "petitioner.address": "Address, sealed. 住址,密封保存。",
}


class FieldKind(Enum):
    """The way to read a cell; the value is its name in error messages."""

    LINE = "text of one line"
    TEXT = "text"
    INSTANT = "date"
    NUMBER = "whole number"
    FLAG = "是 or 否"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Target:
    """A field that a column can fill. `max_length` is in characters, in items for a list.

    `about` describes it, in English then Chinese; `words` are names for codes in every mapping
    (node names); a date may lie in the future only if it `is_deadline`.
    """

    name: str
    kind: FieldKind
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
        """Return whether it is a number or a code, of which every character counts."""
        return self.name.rpartition(".")[2] in _CODES


@cache
def targets() -> dict[str, Target]:
    """Return all targets by name, in the order of the schemas."""
    found = [*_registered(), *_petitioner(), *_handling()]
    return {target.name: target for target in found}


def parts_of(name: str) -> tuple[str, str]:
    """Return the part that a target belongs to, and its field there."""
    part, dot, field = name.partition(".")
    return (part, field) if dot else (REGISTERED, name)


def required_targets() -> list[str]:
    """Return the targets that every mapping must fill, by a column or a constant."""
    return [name for name in targets() if name in _REQUIRED_OF_A_ROW]


def _registered() -> Iterator[Target]:
    for target in _fields_of(types.REGISTERED, ""):
        yield target
        if target.name == "received_at":
            yield Target(REGISTERED_AT, FieldKind.INSTANT, about=_ABOUT[REGISTERED_AT])


def _petitioner() -> Iterator[Target]:
    for field_name in PETITIONER_FIELDS:
        name = f"{PETITIONER}.{field_name}"
        yield Target(name, FieldKind.LINE, MAX_FIELD_CHARACTERS, about=_ABOUT[name])


def _handling() -> Iterator[Target]:
    for command, step in HANDLING.items():
        done = f"When it was done. {step.chinese}时刻。"
        yield Target(f"{command}.{AT}", FieldKind.INSTANT, required=True, about=done)
        yield from _fields_of(step.event_type, f"{command}.")


def _fields_of(event_type: str, prefix: str) -> Iterator[Target]:
    for avro in catalogue().by_type[event_type].avro["fields"]:
        kind = _kind(avro)
        if avro["name"] not in ENVELOPE_FIELDS and not avro.get("computed") and kind is not None:
            yield _target(avro, prefix, kind)


def _target(avro: dict[str, Any], prefix: str, kind: FieldKind) -> Target:
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
        avro["name"] in _DEADLINES,
    )


def _kind(field: dict[str, Any]) -> FieldKind | None:
    """Return how to read a cell for this field; None if no cell can hold it (attachments)."""
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    type_ = next(t for t in types if t != "null")
    if type_ == "string":
        long = (field.get("max_length") or 0) > _ONE_LINE_CHARACTERS
        return FieldKind.TEXT if long else FieldKind.LINE
    if isinstance(type_, str):
        return {"boolean": FieldKind.FLAG, "int": FieldKind.NUMBER, "long": FieldKind.NUMBER}.get(
            type_
        )
    if type_.get("logicalType") == INSTANT:
        return FieldKind.INSTANT
    return FieldKind.LIST if type_.get("items") == "string" else None
