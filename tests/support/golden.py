"""The golden examples 黄金样例: what is on the wire, bytes beside JSON, one pair of files each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from schemas.catalogue import Avro
from schemas.evolution.resolution import expanded

FOLDER = Path(__file__).parents[1] / "contract" / "golden"


class Golden(NamedTuple):
    """One example: `record` is what our codec gives, instants as micros and bytes as bytes."""

    name: str
    schema: dict[str, Any]  # id, file, fingerprint and sha256 at the time of release
    avro: dict[str, Any]  # the shipped schema
    key: bytes
    headers: list[tuple[str, bytes]]
    record: dict[str, Any]
    value: bytes


def names() -> list[str]:
    """Return the names of all examples, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.hex"))


def load(name: str, events: Path) -> Golden:
    """Return one example, with its schema from the folder `events`."""
    example = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    avro = json.loads((events / example["schema"]["file"]).read_text(encoding="utf-8"))
    return Golden(
        name,
        example["schema"],
        avro,
        example["key"].encode(),
        [(header, content.encode()) for header, content in example["headers"].items()],
        _with_bytes(expanded(avro), example["record"]),
        bytes.fromhex((FOLDER / f"{name}.hex").read_text()),
    )


def load_all(events: Path) -> Iterator[Golden]:
    """Load all examples."""
    return (load(name, events) for name in names())


def _with_bytes(avro: Avro, value: Any) -> Any:
    """JSON has no bytes: there they are hexadecimal."""
    if isinstance(avro, list):
        return None if value is None else _with_bytes(avro[1], value)
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "bytes":
        return bytes.fromhex(value)
    if kind == "array":
        return [_with_bytes(avro["items"], item) for item in value]
    if kind == "record":
        types = {field["name"]: field["type"] for field in avro["fields"]}
        return {name: _with_bytes(types.get(name, "null"), part) for name, part in value.items()}
    return value
