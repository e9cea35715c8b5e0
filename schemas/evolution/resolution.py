"""Decide which schemas can read each other's data, by the rules of Avro in use here 版本规则."""

from collections.abc import Iterator
from typing import Any, Final

from schemas.catalogue import Avro

Fields = list[dict[str, Any]]

# Enums are left out because a new symbol breaks old readers, floats because nothing here is one,
# maps and recursion because a few bytes could become a very large or very deep record.
SIMPLE_TYPES: Final = ("string", "bytes", "boolean", "int", "long")


def expanded(avro: Avro, named: dict[str, Avro] | None = None) -> Avro:
    """Return the schema with every reference to a record replaced by that record.

    A record's reference to itself stays a name, which `unsuitable_types` then refuses.
    """
    named = {} if named is None else named
    if isinstance(avro, str):
        return named.get(avro, avro)
    if isinstance(avro, list):
        return [expanded(member, named) for member in avro]
    if avro["type"] == "array":
        return {"type": "array", "items": expanded(avro["items"], named)}
    if avro["type"] != "record":
        return avro
    fields = [{**part, "type": expanded(part["type"], named)} for part in avro["fields"]]
    named[avro["name"]] = {**avro, "fields": fields}
    return named[avro["name"]]


def differences(one: Avro, other: Avro, path: str) -> Iterator[str]:
    """Yield why data of one expanded schema cannot be read as the other, in either direction."""
    if _kind(one) != _kind(other):
        yield f"{path} changes its type"
    elif isinstance(one, list):
        for member, counterpart in zip(one, other, strict=True):
            yield from differences(member, counterpart, path)
    elif isinstance(one, dict) and one["type"] == "array":
        yield from differences(one["items"], other["items"], f"{path}[]")
    elif isinstance(one, dict) and one["type"] == "record":
        yield from _field_differences(one["fields"], other["fields"], path)


def unsuitable_types(avro: Avro, path: str) -> Iterator[str]:
    """Yield the types in an expanded schema other than text, bytes, flags, whole numbers, records
    with fields, arrays, and unions of null and one of these."""
    if isinstance(avro, list):
        if len(avro) != 2 or avro[0] != "null":
            yield f"{path}: a union must be null and one other type"
        avro = avro[-1]
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "array":
        yield from unsuitable_types(avro["items"], f"{path}[]")
    elif kind == "record" and avro["fields"]:
        for part in avro["fields"]:
            yield from unsuitable_types(part["type"], f"{path}.{part['name']}")
    elif kind not in SIMPLE_TYPES:
        yield f"{path}: {kind} is no type that a record here may have"


def _kind(avro: Avro) -> object:
    """Return what must be the same: the type, its logical type, and the name of a record."""
    if isinstance(avro, list):
        return [_kind(member) for member in avro]
    if isinstance(avro, str):
        return (avro, None)
    meaning = "name" if avro["type"] == "record" else "logicalType"
    return (avro["type"], avro.get(meaning))


def _field_differences(one: Fields, other: Fields, path: str) -> Iterator[str]:
    ones, others = ({part["name"]: part for part in fields} for fields in (one, other))
    for name in {**ones, **others}:
        if name in ones and name in others:
            yield from differences(ones[name]["type"], others[name]["type"], f"{path}.{name}")
        elif "default" not in (ones.get(name) or others[name]):
            yield f"{path}.{name} is in one of them only and has no default"
