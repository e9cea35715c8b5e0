"""The schema catalogue 架构目录: the id, file and fingerprint of each event type.

The ids never change and are shipped with the release, so that a reader needs no registry. Files are
read and parsed when a schema is first used, not on import.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, cast

from fastavro.schema import parse_schema

from schemas.errors import SchemaError

FOLDER: Final = Path(__file__).parent
EVENTS_FOLDER: Final = FOLDER / "events"
CATALOGUE_FILE: Final = FOLDER / "catalogue.json"

# An Avro schema as JSON has it: a name, a union, or a definition.
Avro = Any
FieldPath = tuple[str, ...]


def physical_form(avro: Avro) -> Avro:
    """Return the schema without logical types: reading instants as ints is 1.5 times as fast."""
    if isinstance(avro, list):
        return [physical_form(member) for member in avro]
    if isinstance(avro, dict):
        return {name: physical_form(part) for name, part in avro.items() if name != "logicalType"}
    return avro


def instant_paths(avro: Avro) -> Iterator[FieldPath]:
    """Yield the paths of instants in a record: field names from the outside in, through arrays."""
    if isinstance(avro, list):
        for member in avro:
            yield from instant_paths(member)
    elif isinstance(avro, dict):
        if avro.get("logicalType") == "timestamp-micros":
            yield ()
        if avro.get("type") == "array":
            yield from instant_paths(avro["items"])
        for part in avro.get("fields", ()):
            yield from ((part["name"], *path) for path in instant_paths(part["type"]))


@dataclass(frozen=True, eq=False)  # one object for each schema, and quick to look up
class Schema:
    """A released schema: a line of the catalogue, and its file, which is read on demand."""

    id: int
    type: str  # the CloudEvents type, e.g. petition.case.registered.v1
    file: str
    fingerprint: str  # CRC-64-AVRO of the canonical form, hexadecimal
    sha256: str  # of the file, because the fingerprint leaves out docs, defaults and codes
    folder: Path = field(default=EVENTS_FOLDER, repr=False)

    @cached_property
    def avro(self) -> dict[str, Any]:
        """Return the file; raise SchemaError if it is missing or is not the released one."""
        try:
            content = (self.folder / self.file).read_bytes()
        except OSError as error:
            raise SchemaError(f"schema {self.file} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise SchemaError(
                f"schema {self.file} is not the released one (its SHA-256 differs from the"
                " catalogue): reinstall the release"
            )
        avro: dict[str, Any] = json.loads(content)
        return avro

    @cached_property
    def physical(self) -> dict[str, Any]:
        """Return the parsed schema without logical types, with which the codec reads."""
        return cast(dict[str, Any], parse_schema(physical_form(self.avro)))

    @cached_property
    def body_instants(self) -> tuple[FieldPath, ...]:
        """Return the paths of instants in the body, e.g. ("clocks", "due_at")."""
        paths = instant_paths(self.avro)
        return tuple(path for path in paths if path[0] not in ("occurred_at", "recorded_at"))

    @cached_property
    def frame(self) -> bytes:
        """Return the five bytes before the Avro record: magic zero and the id, big-endian."""
        return b"\x00" + self.id.to_bytes(4)

    @cached_property
    def _defaults(self) -> tuple[dict[str, Any], tuple[tuple[str, list[Any]], ...]]:
        """Return the defaults, and those that are lists, the only mutable ones."""
        values = {
            part["name"]: part["default"] for part in self.avro["fields"] if "default" in part
        }
        return values, tuple(one for one in values.items() if isinstance(one[1], list))

    def defaults(self) -> dict[str, Any]:
        """Return a new dict of the default of every field that has one."""
        values, lists = self._defaults
        fresh = values.copy()
        for name, value in lists:
            fresh[name] = value.copy()
        return fresh


class Catalogue:
    """The released schemas, by wire id and by CloudEvents type; SchemaError if one is repeated."""

    def __init__(self, schemas: list[Schema]) -> None:
        self.by_id: Mapping[int, Schema] = {schema.id: schema for schema in schemas}
        self.by_type: Mapping[str, Schema] = {schema.type: schema for schema in schemas}
        if len(self.by_id) != len(schemas):
            raise SchemaError("the schema catalogue gives one id to two schemas")
        if len(self.by_type) != len(schemas):
            raise SchemaError("the schema catalogue gives two schemas to one type")


def load(file: Path = CATALOGUE_FILE, folder: Path = EVENTS_FOLDER) -> Catalogue:
    """Read a catalogue. Raises SchemaError if it is missing, no JSON, or contradicts itself."""
    try:
        entries = json.loads(file.read_bytes())
        return Catalogue([Schema(**entry, folder=folder) for entry in entries])
    except (OSError, ValueError, TypeError) as error:
        raise SchemaError(f"schema catalogue {file.name} cannot be read: {error}") from error


@cache
def catalogue() -> Catalogue:
    """Return the catalogue of this release, read once."""
    return load()
