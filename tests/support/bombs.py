"""Values made to exhaust a decoder: short bytes that promise millions of items."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer
from support.events import ENVELOPE, REGISTERED

from schemas.catalogue import Schema, catalogue
from schemas.evolution.resolution import expanded


def zigzag(number: int) -> bytes:
    """Return a long as Avro has it."""
    stream = BytesIO()
    schemaless_writer(stream, "long", number)
    return stream.getvalue()


def cut_before(schema: Schema, wanted: Any) -> Iterator[bytes]:
    """Return the record of a schema up to each of its fields of a kind, for a bomb to follow."""
    stream = BytesIO()
    stream.write(schema.frame)
    for field in schema.physical["fields"]:
        kind = field["type"] if isinstance(field["type"], list) else [field["type"]]
        if any(wanted in (member, isinstance(member, dict) and member["type"]) for member in kind):
            yield stream.getvalue() + (b"\x02" if len(kind) == 2 else b"")
        sample = ENVELOPE.get(field["name"], empty(expanded(field["type"])))
        schemaless_writer(stream, _alone(field["type"]), sample)


def _alone(avro: Any) -> Any:
    """Return a type by itself; a union is written as null, so that its records need no
    definition."""
    if isinstance(avro, list):
        return ["null"]
    return (
        {"type": "array", "items": "null"}
        if isinstance(avro, dict) and avro["type"] == "array"
        else avro
    )


def empty(avro: Any) -> Any:
    """Return the smallest value of a type."""
    if isinstance(avro, list):
        return None
    kind = avro if isinstance(avro, str) else avro["type"]
    return {"string": "", "bytes": b"", "boolean": False, "array": []}.get(kind, 0)


def _first(kind: str) -> bytes:
    return next(iter(cut_before(catalogue().by_type[REGISTERED], kind)))


# A registered case with 30 million accused, and a text of 2^62 bytes; both end there.
ARRAY_BOMB = _first("array") + zigzag(30_000_000)
TEXT_BOMB = _first("string") + zigzag(2**62)
