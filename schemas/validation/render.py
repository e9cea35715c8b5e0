"""Render a body for people 展示: instants with zone, bytes as base64, sealed data as sealed."""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from schemas.catalogue import Schema
from schemas.instants import text_of
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS
from schemas.validation.field_spec import INSTANT, FieldSpec, fields_of

Show = Callable[[Any], Any]


def render(schema: Schema, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body for JSON: micros → RFC 3339 in +08:00, bytes → base64, the sealed petitioner
    → {"sealed": true, "for": [nodes]}.

    Unknown fields and rendered values stay as they are, missing fields stay missing.
    """
    return _shown(_shows_of_schema(schema), body)


@cache
def _shows_of_schema(schema: Schema) -> dict[str, Show]:
    return _shows_of(fields_of(schema))


def _shown(shows: Mapping[str, Show], record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shows[name](value) if name in shows else value for name, value in record.items()}


def _shows_of(fields: Mapping[str, FieldSpec]) -> dict[str, Show]:
    """Return the functions for fields that cannot be shown as they are."""
    shows = {name: _show_of(field) for name, field in fields.items()}
    return {name: show for name, show in shows.items() if show}


def _show_of(field: FieldSpec) -> Show | None:
    """Return the function to show a value of this field; None if none is needed."""
    if field.items is not None:
        return _of_items(_show_of(field.items))
    if field.record == "SealedPetitioner":
        return _show_sealed
    if field.fields is not None:
        return _of_record(_shows_of(field.fields))
    if field.kind is bytes:
        return _show_bytes
    return _show_instant if field.meaning == INSTANT else None


def _of_items(show: Show | None) -> Show | None:
    if show is None:
        return None
    return lambda value: [show(item) for item in value] if isinstance(value, list) else value


def _of_record(shows: Mapping[str, Show]) -> Show:
    return lambda value: _shown(shows, value) if isinstance(value, Mapping) else value


def _show_sealed(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    nodes = [wrap["node"] for wrap in value.get("keys", ()) if "node" in wrap]
    return {"sealed": True, "for": list(dict.fromkeys(nodes))}


def _show_instant(value: Any) -> Any:
    if type(value) is int and MIN_INSTANT_MICROS <= value <= MAX_INSTANT_MICROS:
        return text_of(value)
    return value


def _show_bytes(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
