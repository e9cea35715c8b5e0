"""Check a correction 更正: a field of the registration and its new value as text."""

from functools import cache
from typing import Any

from cases.vocabulary import event_types as types
from schemas.catalogue import catalogue
from schemas.errors import Invalid
from schemas.validation.forms import fill

# The required fields of a registration, so that one field can be checked alone.
_REST = {"title": "-", "channel": "other"}
_FLAGS = {"true": True, "是": True, "false": False, "否": False}


def corrected(field: str, text: str) -> tuple[str, Any]:
    """Return the field and its value; raise `Invalid` unless `case.registered` allows it.

    The items of a list are separated by semicolons. Parts of attachments are named by their path
    and kept as they are given.
    """
    name = field.partition(".")[0]
    if name == "attachments":
        return field, text
    kind = _kinds().get(field)
    if kind is None:
        raise Invalid(
            f"{field[:60]!r} is no field of a registration: use one of {', '.join(_kinds())}"
        )
    body = fill(catalogue().by_type[types.REGISTERED], {**_REST, field: _typed(kind, text)})
    return field, body[field]


def _typed(kind: str, text: str) -> Any:
    if kind == "boolean":
        return _FLAGS.get(text.strip().lower(), text)
    if kind == "int":
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
    if kind == "array":
        return [part.strip() for part in text.replace(";", ";").split(";") if part.strip()]
    return text


@cache
def _kinds() -> dict[str, str]:
    """Return the correctable fields of a registration and the kind of each."""
    schema = catalogue().by_type[types.REGISTERED]
    body = (one for one in schema.avro["fields"][9:] if not one.get("computed"))
    return {one["name"]: _kind(one["type"]) for one in body}


def _kind(avro: Any) -> str:
    if isinstance(avro, list):
        return _kind(avro[1])
    return _kind(avro["type"]) if isinstance(avro, dict) else str(avro)
