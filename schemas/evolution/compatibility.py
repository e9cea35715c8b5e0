"""Check that released schemas do not change and that versions can read each other 兼容性检查.

`python -m schemas.evolution.compatibility` prints what is wrong and exits with 1; `make check` runs
it. Every version of a type must read every other, older and newer: nodes are upgraded one after the
other, and the ledger keeps everything.
"""

import sys
from itertools import combinations, groupby
from typing import Final

from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.catalogue import Catalogue, Schema, catalogue
from schemas.errors import SchemaError
from schemas.event import ENVELOPE_FIELDS
from schemas.evolution.resolution import differences, expanded, unsuitable_types

# The life of a case: of each of these there must be a version.
NEEDED: Final = {
    "case": "registered identified merged corrected withdrawn forwarded assigned copied landed"
    " objected objection_ruled diverted accepted not_accepted no_longer_accepted"
    " acceptance_overruled progressed extended decided served closed",
    "review": "requested decided",
    "recheck": "requested decided",
    "supervision": "issued replied lifted",
    "evaluation": "recorded expired",
}


def main() -> int:
    """Print one line for each problem, or that there is none; return the exit code."""
    try:
        shipped = catalogue()
        found = problems(shipped)
    except SchemaError as error:
        found = [str(error)]
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    if not found:
        print(f"{len(shipped.by_id)} schemas are as released, and all versions are compatible")
    return 1 if found else 0


def problems(shipped: Catalogue) -> list[str]:
    """Return the problems of a catalogue and its files, one line each."""
    found = [line for schema in shipped.by_id.values() for line in frozen_problems(schema)]
    found += missing_types(shipped)
    return found or incompatible_versions(shipped)


def frozen_problems(schema: Schema) -> list[str]:
    """Return how a file differs from its line of the catalogue, or breaks a rule for records."""
    try:
        avro = schema.avro
    except SchemaError as error:
        return [str(error)]
    found = list(unsuitable_types(expanded(avro), schema.file))
    if fingerprint(to_parsing_canonical_form(avro), "CRC-64-AVRO") != schema.fingerprint:
        found.append(f"{schema.file}: its fingerprint is not the one in the catalogue")
    if schema.file != f"{schema.type}.avsc":
        found.append(f"{schema.file}: should be named {schema.type}.avsc")
    first = tuple(part["name"] for part in avro["fields"][: len(ENVELOPE_FIELDS)])
    if first != ENVELOPE_FIELDS:
        found.append(f"{schema.file}: does not begin with the envelope")
    return found


def missing_types(shipped: Catalogue) -> list[str]:
    """Return the needed types without a version."""
    there = {unversioned(type_) for type_ in shipped.by_type}
    needed = (f"petition.{noun}.{past}" for noun in NEEDED for past in NEEDED[noun].split())
    return [f"catalogue: there is no {type_}" for type_ in needed if type_ not in there]


def incompatible_versions(shipped: Catalogue) -> list[str]:
    """Return why any two versions of a type, or the envelopes of any types, do not fit."""
    schemas = sorted(shipped.by_type.values(), key=lambda schema: unversioned(schema.type))
    found = [line for schema in schemas[1:] for line in _envelope_differences(schemas[0], schema)]
    for _, versions in groupby(schemas, key=lambda schema: unversioned(schema.type)):
        for one, other in combinations(versions, 2):
            lines = differences(expanded(one.avro), expanded(other.avro), "record")
            found += [f"{one.file} and {other.file}: {line}" for line in lines]
    return found


def unversioned(type_: str) -> str:
    """petition.case.registered.v1 → petition.case.registered"""
    return type_.rpartition(".")[0]


def _envelope_differences(first: Schema, schema: Schema) -> list[str]:
    one, other = (
        [(part["name"], part["type"]) for part in some.avro["fields"][: len(ENVELOPE_FIELDS)]]
        for some in (first, schema)
    )
    return [] if one == other else [f"{schema.file}: its envelope is not that of {first.file}"]


if __name__ == "__main__":
    sys.exit(main())
