"""The commands as JSON Schema 指令格式, made from the specs of their fields.

The schemas tell clients and their generators what `schemas.validation.forms` accepts; the forms
remain the judge. Rules that need the case or the clock are not in a schema.
"""

from collections.abc import Callable
from typing import Any

from cases.vocabulary.commands import COMMANDS
from cases.vocabulary.event_types import CORRECTED, REGISTERED
from schemas.catalogue import catalogue
from schemas.sealing.petitioner import MAX_FIELD_CHARACTERS, PETITIONER_FIELDS
from schemas.validation.field_spec import INSTANT, UUID, FieldSpec, body_fields_of

JsonSchema = dict[str, Any]

_PETITIONER: JsonSchema = {
    "type": "object",
    "description": "信访人; sealed at once and never kept in the clear.",
    "additionalProperties": False,
    "properties": {
        name: {"type": "string", "maxLength": MAX_FIELD_CHARACTERS} for name in PETITIONER_FIELDS
    },
}
_INSTANT: JsonSchema = {"type": "string", "format": "date-time"}
COMMAND_BODY: JsonSchema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/Command"},
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 100,
                        "items": {
                            "type": "object",
                            "description": "A command, checked when its turn comes.",
                        },
                    },
                ]
            }
        }
    },
}
_CASE_ID: JsonSchema = {"type": "string", "pattern": r"^[0-9A-Za-z._-]{1,64}$"}


def command_components() -> dict[str, JsonSchema]:
    """Return OpenAPI components: `Command`, and a schema for each command."""
    components = {_name(command): _command(command) for command in COMMANDS}
    mapping = {command: f"#/components/schemas/{_name(command)}" for command in COMMANDS}
    components["Command"] = {
        "description": "A case command 办件指令; docs/commands.md says who may give it and when.",
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "command", "mapping": mapping},
    }
    return components


def _name(command: str) -> str:
    return "".join(word.capitalize() for word in command.split("_")) + "Command"


def _command(command: str) -> JsonSchema:
    event_type = COMMANDS[command]
    schema = catalogue().by_type[event_type]
    record = _record(body_fields_of(schema))
    common: JsonSchema = {
        "command": {"type": "string", "enum": [command]},
        "case_id": _CASE_ID,
        "occurred_at": _INSTANT | {"description": "业务发生时刻; now if left out."},
        "actor": {"type": "string", "minLength": 1, "maxLength": 100},
    }
    if event_type in (REGISTERED, CORRECTED):
        common["petitioner"] = _PETITIONER
    required = ["command"] if event_type == REGISTERED else ["command", "case_id"]
    # The case knows where an objection and its ruling go.
    implied = {"to"} if command in ("object", "rule_objection") else set()
    return {
        "type": "object",
        "description": schema.avro.get("doc", ""),
        "additionalProperties": False,
        "properties": common | record["properties"],
        "required": required + [name for name in record["required"] if name not in implied],
    }


def _record(fields: dict[str, FieldSpec], *, inner: bool = False) -> JsonSchema:
    given = {name: field for name, field in fields.items() if not field.computed}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _field(field) for name, field in given.items()},
        "required": [
            name
            for name, field in given.items()
            if field.required or (inner and not field.has_default)
        ],
    }


def _field(field: FieldSpec) -> JsonSchema:
    made = _value(field)
    if field.nullable and not field.required:
        made = {"anyOf": [made, {"type": "null"}]}
    doc = field.attributes.get("doc")
    return made | {"description": doc} if doc else made


def _value(field: FieldSpec) -> JsonSchema:
    if field.fields is not None:
        return _record(field.fields, inner=True)
    if field.items is not None:
        return _array(field, _field(field.items))
    if field.meaning == INSTANT:
        return {**_INSTANT}
    if field.meaning == UUID:
        return {"type": "string", "format": "uuid"}
    return _KINDS[field.kind](field)


def _text(field: FieldSpec) -> JsonSchema:
    if field.codes:
        return {"type": "string", "enum": [*field.codes]}
    made: JsonSchema = {"type": "string"}
    if "max_length" in field.attributes:
        made["maxLength"] = field.high
    if field.required:
        made |= {"minLength": 1, "pattern": r"\S"}
    return made


def _array(field: FieldSpec, items: JsonSchema) -> JsonSchema:
    made: JsonSchema = {"type": "array", "items": items}
    if "max_length" in field.attributes:
        made["maxItems"] = field.high
    if field.required:
        made["minItems"] = 1
    return made


_KINDS: dict[type, Callable[[FieldSpec], JsonSchema]] = {
    str: _text,
    int: lambda field: {"type": "integer", "minimum": field.low, "maximum": field.high},
    bool: lambda _: {"type": "boolean"},
    bytes: lambda _: {"type": "string", "contentEncoding": "base64"},
}
