"""Check records: one that is to be written, and envelope and instants of one that was read."""

from collections.abc import Iterable
from typing import Any

from schemas.catalogue import FieldPath, Schema
from schemas.errors import INVALID_TEXT, MALFORMED, OUT_OF_RANGE, Invalid, Undecodable
from schemas.limits import (
    MAX_CASE_ID_CHARACTERS,
    MAX_INSTANT_MICROS,
    MAX_NUMBER,
    MIN_INSTANT_MICROS,
    is_uuid,
)
from schemas.validation.field_spec import INSTANT, UUID, FieldSpec, fields_of


def check_record(schema: Schema, record: dict[str, Any]) -> None:
    """Raise Invalid, naming the field, unless the record can be written."""
    _check_fields(fields_of(schema), record, "")


def check_envelope(record: dict[str, Any]) -> None:
    """Raise Undecodable unless the envelope can be stored: ranges, ids, no NUL in its texts."""
    if not is_uuid(record["event_id"]):
        raise Undecodable(MALFORMED, "event_id is no UUID of 36 characters in lower case")
    case_id = record["case_id"]
    if not 0 < len(case_id) <= MAX_CASE_ID_CHARACTERS:
        raise Undecodable(MALFORMED, f"case_id has {len(case_id)} characters")
    if "\0" in case_id + record["emitter"] + record["actor"] + record["rule_set"]:
        raise Undecodable(INVALID_TEXT, "NUL in the envelope")
    if not (
        0 < record["version"] <= MAX_NUMBER
        and 0 < record["emitter_sequence"] <= MAX_NUMBER
        and MIN_INSTANT_MICROS <= record["occurred_at"] <= MAX_INSTANT_MICROS
        and MIN_INSTANT_MICROS <= record["recorded_at"] <= MAX_INSTANT_MICROS
    ):
        raise Undecodable(OUT_OF_RANGE, "a number or an instant of the envelope is out of range")


def check_instants(paths: Iterable[FieldPath], record: dict[str, Any]) -> None:
    """Raise Undecodable if an instant of a record that was read is out of range.

    Each path is a field, or an array and a field of its items (a test holds the schemas to that).
    """
    for path in paths:
        value = record[path[0]]
        instants = [item[path[1]] for item in value] if type(value) is list else (value,)
        for instant in instants:
            if instant is not None and not MIN_INSTANT_MICROS <= instant <= MAX_INSTANT_MICROS:
                raise Undecodable(OUT_OF_RANGE, f"{'.'.join(path)} is outside the years 1 to 9999")


def _check_fields(fields: dict[str, FieldSpec], record: dict[str, Any], path: str) -> None:
    if record.keys() != fields.keys():
        raise Invalid(_field_names(fields, record, path))
    for name, field in fields.items():
        _check(field, record[name], f"{path}{name}")


def _field_names(fields: dict[str, FieldSpec], record: dict[str, Any], path: str) -> str:
    if missing := [name for name in fields if name not in record]:
        return f"{path}{missing[0]}: is missing"
    unknown = next(name for name in record if name not in fields)
    return f"{path}{unknown}: is no field of this type of event"


def _check(field: FieldSpec, value: Any, path: str) -> None:
    kind = type(value)
    if kind is not field.kind:
        if value is None and field.nullable:
            return
        wanted = f"NoneType or {field.kind.__name__}" if field.nullable else field.kind.__name__
        raise Invalid(f"{path}: must be {wanted}, not {kind.__name__}")
    if kind is int:
        _check_number(field, value, path)
    elif kind is list and field.items:
        _check_length(field, value, path, "items")
        for index, item in enumerate(value):
            _check(field.items, item, f"{path}.{index}")
    elif kind is dict and field.fields:
        _check_fields(field.fields, value, f"{path}.")
    elif kind is str:
        _check_text(field, value, path)


def _check_number(field: FieldSpec, value: int, path: str) -> None:
    if field.low <= value <= field.high:
        return
    if field.meaning == INSTANT:
        raise Invalid(f"{path}: the instant is outside the years 1 to 9999")
    raise Invalid(f"{path}: {value} is not between {field.low} and {field.high}")


def _check_length(field: FieldSpec, value: str | list[Any], path: str, unit: str) -> None:
    if not field.low <= len(value) <= field.high:
        raise Invalid(
            f"{path}: has {len(value)} {unit}, between {field.low} and {field.high} are allowed"
        )


def _check_text(field: FieldSpec, value: str, path: str) -> None:
    if "\0" in value:
        raise Invalid(f"{path}: NUL is no text; remove it")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Invalid(f"{path}: half a surrogate pair is no text; enter it again")
    _check_length(field, value, path, "characters")
    if field.meaning == UUID and not is_uuid(value):
        raise Invalid(f"{path}: is no UUID of 36 characters in lower case")
