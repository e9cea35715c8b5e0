"""Released schemas stay as they are, and versions of a type can read each other 兼容性检查.

`python -m schemas.compatibility` prints what is wrong and exits with 1; `make check` runs it.
Within one type every version must read every other, older and newer, because nodes are upgraded
one after the other and the ledger keeps everything.
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import combinations, groupby
from typing import Any, Final

from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.catalogue import Avro, Catalogue, Schema, catalogue
from schemas.errors import SchemaError
from schemas.event import ENVELOPE_FIELDS

# The life of a case: these types must always be there, in one version at least.
NEEDED: Final = {
    "case": "registered identified merged corrected withdrawn forwarded assigned copied landed"
    " objected objection_ruled diverted accepted not_accepted no_longer_accepted"
    " acceptance_overruled progressed extended decided served closed",
    "review": "requested decided",
    "recheck": "requested decided",
    "supervision": "issued replied lifted",
    "evaluation": "recorded expired",
}

# Enums are left out because a new symbol breaks old readers, maps and recursion because five
# bytes could become a very large or very deep record.
SIMPLE_TYPES: Final = {"string", "bytes", "boolean", "int", "long"}


def main() -> int:
    """Print one line for each problem, or that there is none; the exit code."""
    try:
        found = problems(catalogue())
        number = len(catalogue().by_id)
    except SchemaError as error:
        found, number = [str(error)], 0
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if not found:
        print(f"{number} schemas: as released, and compatible in all their versions")
    return 1 if found else 0


def problems(shipped: Catalogue) -> list[str]:
    """Everything that is wrong with a catalogue and its files, one line each."""
    found = [line for schema in shipped.by_id.values() for line in frozen_problems(schema)]
    found += missing_types(shipped)
    return found or compatibility_problems(shipped)


def frozen_problems(schema: Schema) -> list[str]:
    """What differs between a file and its line of the catalogue, or from the house's rules."""
    try:
        avro = schema.avro
    except SchemaError as error:
        return [str(error)]
    found = list(unsuitable_types(avro, schema.file))
    if fingerprint(to_parsing_canonical_form(avro), "CRC-64-AVRO") != schema.fingerprint:
        found.append(f"{schema.file}: its fingerprint differs from the catalogue")
    if schema.file != f"{schema.type}.avsc":
        found.append(f"{schema.file}: should be named {schema.type}.avsc")
    first = tuple(part["name"] for part in avro["fields"][: len(ENVELOPE_FIELDS)])
    if first != ENVELOPE_FIELDS:
        found.append(f"{schema.file}: does not begin with the envelope")
    return found


def missing_types(shipped: Catalogue) -> list[str]:
    """The needed types of which there is no version."""
    there = {unversioned(type_) for type_ in shipped.by_type}
    needed = (f"petition.{noun}.{past}" for noun in NEEDED for past in NEEDED[noun].split())
    return [f"catalogue: there is no {type_}" for type_ in needed if type_ not in there]


def compatibility_problems(shipped: Catalogue) -> list[str]:
    """Why two versions of one type, any two, could not read each other."""
    schemas = sorted(shipped.by_type.values(), key=lambda schema: schema.type)
    found: list[str] = []
    for _, versions in groupby(schemas, key=lambda schema: unversioned(schema.type)):
        for one, other in combinations(versions, 2):
            lines = differences(expanded(one.avro, {}), expanded(other.avro, {}), "record")
            found += [f"{one.file} and {other.file}: {line}" for line in lines]
    envelopes = [schema.avro["fields"][: len(ENVELOPE_FIELDS)] for schema in schemas]
    for schema, envelope in zip(schemas, envelopes, strict=True):
        if shapes(envelope) != shapes(envelopes[0]):
            found.append(f"{schema.file}: its envelope differs from that of {schemas[0].file}")
    return found


def unversioned(type_: str) -> str:
    """petition.case.registered.v1 → petition.case.registered"""
    return type_.rpartition(".")[0]


def shapes(fields: Iterable[dict[str, Any]]) -> list[tuple[str, Avro]]:
    """Names and types of fields, without what people read."""
    return [(part["name"], part["type"]) for part in fields]


def expanded(avro: Avro, named: dict[str, Avro]) -> Avro:
    """The schema with every reference to a record replaced by the record."""
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
    """Why data of one cannot be read as the other, in either direction; of expanded schemas."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for member, its in zip(one, other, strict=True):
            yield from differences(member, its, path)
    elif _kind(one) != _kind(other):
        yield f"{path} changes its type"
    elif _kind(one)[0] == "array":
        yield from differences(one["items"], other["items"], f"{path}[]")
    elif _kind(one)[0] == "record":
        yield from _field_differences(one["fields"], other["fields"], path)


def _kind(avro: Avro) -> tuple[str, ...]:
    """What must be the same: the type, what it means, and the name of a record."""
    if isinstance(avro, list):
        return ("union", *map(str, map(_kind, avro)))
    if isinstance(avro, str):
        return (avro, "")
    name = avro.get("name") if avro["type"] == "record" else avro.get("logicalType")
    return (avro["type"], name or "")


def _field_differences(
    one: list[dict[str, Any]], other: list[dict[str, Any]], path: str
) -> Iterator[str]:
    ones, others = ({part["name"]: part for part in fields} for fields in (one, other))
    for name in ones.keys() | others.keys():
        if name in ones and name in others:
            yield from differences(ones[name]["type"], others[name]["type"], f"{path}.{name}")
        elif "default" not in (ones.get(name) or others[name]):
            yield f"{path}.{name} is in one of them only and has no default"


def unsuitable_types(avro: Avro, path: str, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """Types that our records may not have: other than text, bytes, flags, numbers, arrays of
    what takes at least a byte, records, and null as the first of two in a union."""
    if isinstance(avro, list):
        if len(avro) != 2 or avro[0] != "null":
            yield f"{path}: a union must be null and one other type"
        avro = avro[-1]
    if isinstance(avro, str):
        if avro not in SIMPLE_TYPES | known:
            yield f"{path}: {avro} is no type that records here may have"
    elif avro["type"] == "array":
        yield from unsuitable_types(avro["items"], f"{path}[]", known)
    elif avro["type"] == "record":
        yield from _unsuitable_fields(avro, path, known)
    elif avro["type"] not in SIMPLE_TYPES:
        yield f"{path}: {avro['type']} is no type that records here may have"


if __name__ == "__main__":
    sys.exit(main())
