"""Read the specs of fields 字段规格 from an `.avsc` file, to check, write or describe them."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from schemas.catalogue import Avro, Schema
from schemas.errors import SchemaError
from schemas.event import ENVELOPE_FIELDS
from schemas.evolution.resolution import expanded
from schemas.limits import MAX_INSTANT_MICROS, MAX_INT, MAX_NUMBER, MIN_INSTANT_MICROS

INSTANT: Final = "timestamp-micros"
UUID: Final = "uuid"

_PYTHON_TYPES: Final = {
    "string": str,
    "bytes": bytes,
    "boolean": bool,
    "int": int,
    "long": int,
    "array": list,
    "record": dict,
}
# These attributes of an array are its own; the others apply to its items.
_OF_ARRAYS: Final = ("max_length", "required", "default", "computed", "doc")

Attributes = Mapping[str, Any]


class FieldSpec(NamedTuple):
    """The spec of a field, or of the items of an array; `attributes` are its entry in the file.

    `low` and `high` bound a number, an instant in micros, or the length of a text or an array.
    """

    kind: type  # of a value that is not null, as Python has it
    nullable: bool
    low: int
    high: int
    meaning: str | None  # the logical type: INSTANT or UUID
    items: "FieldSpec | None"  # of an array
    fields: "dict[str, FieldSpec] | None"  # of a record
    record: str  # the name of a record, else ""
    attributes: Attributes

    @property
    def required(self) -> bool:
        """Return whether a command must give the field, and not as null or blank."""
        return bool(self.attributes.get("required", False))

    @property
    def computed(self) -> bool:
        """Return whether the node fills the field in, so that no command may give it."""
        return bool(self.attributes.get("computed", False))

    @property
    def has_default(self) -> bool:
        """Return whether the field may be left out."""
        return "default" in self.attributes

    @property
    def default(self) -> Any:
        """Return the value of a field that is left out; None too if it has no default."""
        return self.attributes.get("default")

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the only allowed texts, with the default; empty if any text is allowed."""
        codes = tuple(self.attributes.get("codes", ()))
        extra = codes and isinstance(self.default, str) and self.default not in codes
        return (*codes, self.default) if extra else codes


@cache
def fields_of(schema: Schema) -> dict[str, FieldSpec]:
    """Return the fields of a record in their order, envelope included."""
    return _fields(expanded(schema.avro))


@cache
def body_fields_of(schema: Schema) -> dict[str, FieldSpec]:
    """Return the fields of a record after the envelope."""
    return dict([*fields_of(schema).items()][len(ENVELOPE_FIELDS) :])


def _fields(avro: Avro) -> dict[str, FieldSpec]:
    return {field["name"]: _spec(field["type"], field) for field in avro["fields"]}


def _spec(avro: Avro, attributes: Attributes) -> FieldSpec:
    """Return the spec of an expanded type; `attributes` are those of its field."""
    if isinstance(avro, list):  # null and one other: `schemas.evolution.resolution` ensures it
        return _spec(avro[1], attributes)._replace(nullable=True)
    full = {"type": avro} if isinstance(avro, str) else avro
    kind, meaning = full["type"], full.get("logicalType")
    if kind not in _PYTHON_TYPES:
        raise SchemaError(f"no field of an event may have the type {kind!r}")
    low, high = _range(kind, meaning, attributes)
    return FieldSpec(
        kind=_PYTHON_TYPES[kind],
        nullable=False,
        low=low,
        high=high,
        meaning=meaning,
        items=_spec(full["items"], _of_items(attributes)) if kind == "array" else None,
        fields=_fields(full) if kind == "record" else None,
        record=full["name"] if kind == "record" else "",
        attributes=attributes,
    )


def _range(kind: str, meaning: str | None, attributes: Attributes) -> tuple[int, int]:
    if meaning == INSTANT:
        return MIN_INSTANT_MICROS, MAX_INSTANT_MICROS
    if kind in ("int", "long"):
        highest = MAX_INT if kind == "int" else MAX_NUMBER
        return attributes.get("minimum", 0), attributes.get("maximum", highest)
    return int(attributes.get("required", False)), attributes.get("max_length", MAX_NUMBER)


def _of_items(attributes: Attributes) -> Attributes:
    return {name: value for name, value in attributes.items() if name not in _OF_ARRAYS}
