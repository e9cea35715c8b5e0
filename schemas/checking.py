"""What a record must be before it is written, and the instants of one that was read.

fastavro writes whatever it can bend into a type (a truth value from any object, 40 bits into an
int) and names no field when it cannot; so types and ranges are checked here first.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final, NamedTuple

from schemas.catalogue import FieldPath, Schema
from schemas.errors import OUT_OF_RANGE, Invalid, Undecodable
from schemas.limits import MAX_INSTANT_MICROS, MAX_NUMBER, MIN_INSTANT_MICROS, UUID_PATTERN

PYTHON_TYPES: Final = {
    "string": str,
    "bytes": bytes,
    "boolean": bool,
    "int": int,
    "long": int,
    "array": list,
    "null": type(None),
}
MAX_INT: Final = 2**31 - 1

_uuid: Final = re.compile(UUID_PATTERN).fullmatch


class Rule(NamedTuple):
    """What one field, or one item of an array, must be."""

    types: frozenset[type]
    low: int
    high: int
    uuid: bool
    instant: bool
    items: "Rule | None"  # of an array
    fields: "dict[str, Rule] | None"  # of a record


def check_record(schema: Schema, record: dict[str, Any]) -> None:
    """Raises Invalid, naming the field, unless the record can be written as it stands."""
    _check_fields(_rules(schema), record, "")


def check_instants(paths: Iterable[FieldPath], record: dict[str, Any]) -> None:
    """Raises Undecodable if an instant of a record that was read is out of range.

    Each path is a field, or an array and a field of its items (a test holds the schemas to that).
    """
    for path in paths:
        value = record[path[0]]
        instants = [item[path[1]] for item in value] if type(value) is list else (value,)
        for instant in instants:
            if instant is not None and not MIN_INSTANT_MICROS <= instant <= MAX_INSTANT_MICROS:
                raise Undecodable(OUT_OF_RANGE, f"{'.'.join(path)} is outside the years 1 to 9999")


def lone_surrogate(record: Any, path: str = "") -> str:
    """The path of the first text that is not Unicode, or "" if there is none."""
    if isinstance(record, str):
        return path if any("\ud800" <= letter <= "\udfff" for letter in record) else ""
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(record, dict):
        parts = record.items()
    elif isinstance(record, list):
        parts = enumerate(record)
    found = (lone_surrogate(part, f"{path}.{name}" if path else str(name)) for name, part in parts)
    return next(filter(None, found), "")


def _check_fields(rules: dict[str, Rule], record: dict[str, Any], path: str) -> None:
    if record.keys() != rules.keys():
        raise Invalid(_field_names(rules, record, path))
    for name, rule in rules.items():
        value = record[name]
        if type(value) is not str or rule.uuid or str not in rule.types:
            _check(rule, value, f"{path}{name}")
        elif "\0" in value:
            raise Invalid(f"{path}{name}: NUL is no text; remove it")


def _field_names(rules: dict[str, Rule], record: dict[str, Any], path: str) -> str:
    if missing := [name for name in rules if name not in record]:
        return f"{path}{missing[0]}: is missing"
    unknown = next(name for name in record if name not in rules)
    return f"{path}{unknown}: is no field of this type of event"


def _check(rule: Rule, value: Any, path: str) -> None:
    kind = type(value)
    if kind not in rule.types:
        wanted = " or ".join(sorted(one.__name__ for one in rule.types))
        raise Invalid(f"{path}: must be {wanted}, not {kind.__name__}")
    if kind is int:
        _check_number(rule, value, path)
    elif kind is list and rule.items:
        for index, item in enumerate(value):
            _check(rule.items, item, f"{path}.{index}")
    elif kind is dict and rule.fields:
        _check_fields(rule.fields, value, f"{path}.")
    elif kind is str:
        _check_text(rule, value, path)


def _check_number(rule: Rule, value: int, path: str) -> None:
    if rule.low <= value <= rule.high:
        return
    if rule.instant:
        raise Invalid(f"{path}: the instant is outside the years 1 to 9999")
    raise Invalid(f"{path}: {value} is not between {rule.low} and {rule.high}")


def _check_text(rule: Rule, value: str, path: str) -> None:
    if "\0" in value:
        raise Invalid(f"{path}: NUL is no text; remove it")
    if rule.uuid and not _uuid(value):
        raise Invalid(f"{path}: is no UUID of 36 characters in lower case")


@cache
def _rules(schema: Schema) -> dict[str, Rule]:
    return _field_rules(schema.avro, {})


def _field_rules(avro: dict[str, Any], named: dict[str, Any]) -> dict[str, Rule]:
    rules = {part["name"]: _rule(part["type"], part, named) for part in avro["fields"]}
    named[avro["name"]] = rules
    return rules


def _rule(avro: Any, field: dict[str, Any], named: dict[str, Any]) -> Rule:
    """The rule of a type; `field` carries the attributes minimum and maximum of its numbers."""
    if isinstance(avro, list):
        rule = _rule(avro[1], field, named)  # our unions are all ["null", X]
        return rule._replace(types=rule.types | {type(None)})
    if isinstance(avro, str) and avro in named:
        return _nested(named[avro])
    avro = avro if isinstance(avro, dict) else {"type": avro}
    if avro["type"] == "record":
        return _nested(_field_rules(avro, named))
    instant = avro.get("logicalType") == "timestamp-micros"
    low, high = _range(avro["type"], field, instant)
    uuid = avro.get("logicalType") == "uuid"
    items = _rule(avro["items"], field, named) if avro["type"] == "array" else None
    return Rule(frozenset({PYTHON_TYPES[avro["type"]]}), low, high, uuid, instant, items, None)


def _nested(fields: dict[str, Rule]) -> Rule:
    return Rule(frozenset({dict}), 0, 0, uuid=False, instant=False, items=None, fields=fields)


def _range(avro_type: str, field: dict[str, Any], instant: bool) -> tuple[int, int]:
    if instant:
        return MIN_INSTANT_MICROS, MAX_INSTANT_MICROS
    high = MAX_INT if avro_type == "int" else MAX_NUMBER
    return field.get("minimum", 0), field.get("maximum", high)
