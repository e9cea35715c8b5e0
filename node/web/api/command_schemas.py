"""The commands as JSON Schema 指令格式, made from the `.avsc` files: one definition for all.

What `schemas.forms` accepts and refuses stands here for clients and their generators; the forms
remain the judge. Rules that need the case or the clock are not in a schema.
"""

from __future__ import annotations

from typing import Any

from cases.commands import COMMANDS
from cases.event_types import CORRECTED, REGISTERED
from schemas.catalogue import Avro, catalogue
from schemas.event import ENVELOPE_FIELDS
from schemas.limits import MAX_INT, MAX_NUMBER
from schemas.petitioner import MAX_FIELD_CHARACTERS, PETITIONER_FIELDS

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
_CASE_ID: JsonSchema = {"type": "string", "pattern": r"^[0-9A-Za-z._-]{1,64}$"}


def command_components() -> dict[str, JsonSchema]:
    """Components of an OpenAPI document: `Command`, and a schema for each command."""
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
    avro = catalogue().by_type[event_type].avro
    fields = avro["fields"][len(ENVELOPE_FIELDS) :]
    record = _record(fields, {})
    common: JsonSchema = {
        "command": {"type": "string", "enum": [command]},
        "case_id": _CASE_ID,
        "occurred_at": _INSTANT | {"description": "业务发生时刻; now if left out."},
        "actor": {"type": "string", "minLength": 1, "maxLength": 100},
    }
    if event_type in (REGISTERED, CORRECTED):
        common["petitioner"] = _PETITIONER
    required = ["command"] if event_type == REGISTERED else ["command", "case_id"]
    # Where an objection and its ruling go is known to the case.
    implied = {"to"} if command in ("object", "rule_objection") else set()
    return {
        "type": "object",
        "description": avro.get("doc", ""),
        "additionalProperties": False,
        "properties": common | record["properties"],
        "required": required + [name for name in record["required"] if name not in implied],
    }


def _record(fields: list[Avro], named: dict[str, JsonSchema], *, inner: bool = False) -> JsonSchema:
    given = [field for field in fields if not field.get("computed")]
    properties = {field["name"]: _field(field, named) for field in given}
    required = [
        field["name"]
        for field in given
        if field.get("required") or (inner and "default" not in field)
    ]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }


def _field(field: Avro, named: dict[str, JsonSchema]) -> JsonSchema:
    made = _type(field["type"], field, named)
    return made | {"description": field["doc"]} if field.get("doc") else made


def _type(avro: Avro, field: Avro, named: dict[str, JsonSchema]) -> JsonSchema:
    """As `schemas.forms` reads a type; `field` carries the limits that go with it."""
    if isinstance(avro, list):
        made = _type(avro[1], field, named)
        return made if field.get("required") else {"anyOf": [made, {"type": "null"}]}
    if isinstance(avro, str) and avro in named:
        return named[avro]
    avro = avro if isinstance(avro, dict) else {"type": avro}
    if avro["type"] == "record":
        made = named[avro["name"]] = _record(avro["fields"], named, inner=True)
        return made
    if avro["type"] == "array":
        own = ("max_length", "required", "default", "doc")
        item = {name: value for name, value in field.items() if name not in own}
        return _array(field, _type(avro["items"], item, named))
    return _simple(avro.get("logicalType") or avro["type"], field)


def _simple(kind: str, field: Avro) -> JsonSchema:
    made: JsonSchema = {
        "timestamp-micros": _INSTANT,
        "uuid": {"type": "string", "format": "uuid"},
        "bytes": {"type": "string", "contentEncoding": "base64"},
        "boolean": {"type": "boolean"},
    }.get(kind, {})
    if kind == "string":
        made = _text(field)
    elif kind in ("int", "long"):
        highest = field.get("maximum", MAX_INT if kind == "int" else MAX_NUMBER)
        made = {"type": "integer", "minimum": field.get("minimum", 0), "maximum": highest}
    return {**made}


def _text(field: Avro) -> JsonSchema:
    codes = [*field.get("codes", ())]
    if codes:
        default = field.get("default")
        extra = [default] if isinstance(default, str) and default not in codes else []
        return {"type": "string", "enum": [*codes, *extra]}
    made: JsonSchema = {"type": "string"}
    if "max_length" in field:
        made["maxLength"] = field["max_length"]
    if field.get("required"):
        made |= {"minLength": 1, "pattern": r"\S"}
    return made


def _array(field: Avro, items: JsonSchema) -> JsonSchema:
    made: JsonSchema = {"type": "array", "items": items}
    if "max_length" in field:
        made["maxItems"] = field["max_length"]
    if field.get("required"):
        made["minItems"] = 1
    return made
