"""What each field must be when it is written 写入规则, from its entry in the `.avsc`."""

from functools import cache
from typing import Any, Final, NamedTuple

from schemas.catalogue import Avro, Schema
from schemas.limits import MAX_INSTANT_MICROS, MAX_INT, MAX_NUMBER, MIN_INSTANT_MICROS
from schemas.versions import expanded

Field = dict[str, Any]

PYTHON_TYPES: Final = {
    "string": str,
    "bytes": bytes,
    "boolean": bool,
    "int": int,
    "long": int,
    "array": list,
    "record": dict,
}


class Rule(NamedTuple):
    """What one field, or one item of an array, must be."""

    types: frozenset[type]
    low: int  # of a number, or of the length of a text or an array
    high: int
    meaning: str | None  # the logical type
    items: "Rule | None"  # of an array
    fields: "dict[str, Rule] | None"  # of a record


@cache
def rules_of(schema: Schema) -> dict[str, Rule]:
    """The rule of every field, envelope included."""
    return _field_rules(expanded(schema.avro))


def _field_rules(avro: dict[str, Any]) -> dict[str, Rule]:
    return {field["name"]: _rule(field["type"], field) for field in avro["fields"]}


def _rule(avro: Avro, field: Field) -> Rule:
    """The rule of a type; `field` has the attributes that bound it."""
    if isinstance(avro, list):  # null and another one: `schemas.versions` lets no other in
        rule = _rule(avro[1], field)
        return rule._replace(types=rule.types | {type(None)})
    full = {"type": avro} if isinstance(avro, str) else avro
    kind, meaning = full["type"], full.get("logicalType")
    low, high = _range(kind, meaning, field)
    items = _rule(full["items"], _bounds_of_items(field)) if kind == "array" else None
    fields = _field_rules(full) if kind == "record" else None
    return Rule(frozenset({PYTHON_TYPES[kind]}), low, high, meaning, items, fields)


def _range(kind: str, meaning: str | None, field: Field) -> tuple[int, int]:
    if meaning == "timestamp-micros":
        return MIN_INSTANT_MICROS, MAX_INSTANT_MICROS
    if kind in ("int", "long"):
        highest = MAX_INT if kind == "int" else MAX_NUMBER
        return field.get("minimum", 0), field.get("maximum", highest)
    return int(field.get("required", False)), field.get("max_length", MAX_NUMBER)


def _bounds_of_items(field: Field) -> Field:
    """What an array says about the numbers in it; its lengths are its own."""
    return {name: field[name] for name in ("minimum", "maximum") if name in field}
