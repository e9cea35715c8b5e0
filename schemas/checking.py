"""What a record must be before it is written, and the instants of one that was read.

fastavro writes whatever it can bend into a type (a truth value from any object, 40 bits into an
int) and names no field when it cannot; so types and ranges are checked here first.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from schemas.catalogue import FieldPath, Schema
from schemas.errors import OUT_OF_RANGE, Invalid, Undecodable
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS, UUID_PATTERN
from schemas.rules import Rule, rules_of

_uuid: Final = re.compile(UUID_PATTERN).fullmatch


def check_record(schema: Schema, record: dict[str, Any]) -> None:
    """Raises Invalid, naming the field, unless the record can be written as it stands."""
    _check_fields(rules_of(schema), record, "")


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
        if value.__class__ is not str or not _good_text(rule, value):
            _check(rule, value, f"{path}{name}")


def _good_text(rule: Rule, value: str) -> bool:
    """Whether it is good without looking closer; most fields are."""
    plain = str in rule.types and rule.meaning is None and "\0" not in value
    return plain and rule.low <= len(value) <= rule.high


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
        _check_length(rule, value, path, "items")
        for index, item in enumerate(value):
            _check(rule.items, item, f"{path}.{index}")
    elif kind is dict and rule.fields:
        _check_fields(rule.fields, value, f"{path}.")
    elif kind is str:
        _check_text(rule, value, path)


def _check_number(rule: Rule, value: int, path: str) -> None:
    if rule.low <= value <= rule.high:
        return
    if rule.meaning == "timestamp-micros":
        raise Invalid(f"{path}: the instant is outside the years 1 to 9999")
    raise Invalid(f"{path}: {value} is not between {rule.low} and {rule.high}")


def _check_length(rule: Rule, value: str | list[Any], path: str, unit: str) -> None:
    if not rule.low <= len(value) <= rule.high:
        raise Invalid(
            f"{path}: has {len(value)} {unit}, between {rule.low} and {rule.high} are allowed"
        )


def _check_text(rule: Rule, value: str, path: str) -> None:
    if "\0" in value:
        raise Invalid(f"{path}: NUL is no text; remove it")
    _check_length(rule, value, path, "characters")
    if rule.meaning == "uuid" and not _uuid(value):
        raise Invalid(f"{path}: is no UUID of 36 characters in lower case")
