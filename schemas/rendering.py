"""A body as people read it 展示: instants with zone, bytes as base64, sealed data as sealed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from schemas.catalogue import Avro, Schema
from schemas.instants import text_of
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS

Show = Callable[[Any], Any]


def render(schema: Schema, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body for JSON: micros → RFC 3339 in +08:00, bytes → base64, the sealed petitioner →
    {"sealed": true, "for": [nodes]}.

    Total: a field that the schema does not know and a value that is shown already stay as they
    are, and a field that is missing stays missing.
    """
    shows = _SHOWS.get(schema.sha256)
    if shows is None:
        shows = _SHOWS[schema.sha256] = _shows_of(schema.avro["fields"], {})
    return _shown(shows, body)


_SHOWS: dict[str, dict[str, Show]] = {}


def _shown(shows: Mapping[str, Show], record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shows[name](value) if name in shows else value for name, value in record.items()}


def _shows_of(fields: list[Any], named: dict[str, Show | None]) -> dict[str, Show]:
    """What to do with the fields that cannot be shown as they are."""
    shows = {field["name"]: _show_of(field["type"], named) for field in fields}
    return {name: show for name, show in shows.items() if show}


def _show_of(avro: Avro, named: dict[str, Show | None]) -> Show | None:
    if isinstance(avro, list):
        return _show_of(avro[1], named)  # our unions are all ["null", X]; null is shown as it is
    if isinstance(avro, str):
        return named.get(avro, _show_bytes if avro == "bytes" else None)
    if avro["type"] == "array":
        return _of_items(_show_of(avro["items"], named))
    if avro["type"] == "record":
        show = named[avro["name"]] = _of_record(avro, named)
        return show
    return _show_instant if avro.get("logicalType") == "timestamp-micros" else None


def _of_items(show: Show | None) -> Show | None:
    if show is None:
        return None
    return lambda value: [show(item) for item in value] if isinstance(value, list) else value


def _of_record(avro: Avro, named: dict[str, Show | None]) -> Show:
    shows = _shows_of(avro["fields"], named)  # also tells the names that are defined inside
    if avro["name"] == "SealedPetitioner":
        return _show_sealed
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
