"""What the peers' scripts share: the task from the environment, and a record's columns.

They run in environments of their own, without the product: only its schema files are read.
"""

import base64
import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
from fastavro import parse_schema, schemaless_reader

BROKER = os.environ["PEER_BROKER"]
TOPIC = os.environ["PEER_TOPIC"]
GROUP = os.environ["PEER_GROUP"]
VARIANT = os.environ.get("PEER_VARIANT", "")

_FRAME_BYTES = 5


def _physical(avro: Any) -> Any:
    """Without logical types, which is how instants are read fastest: as ints."""
    if isinstance(avro, list):
        return [_physical(member) for member in avro]
    if isinstance(avro, dict):
        return {name: _physical(part) for name, part in avro.items() if name != "logicalType"}
    return avro


def _schemas(folder: Path) -> dict[bytes, tuple[str, Any]]:
    """By frame, the five bytes before the record: the event's type and its parsed schema."""
    found = {}
    for line in json.loads((folder / "catalogue.json").read_bytes()):
        avro = json.loads((folder / "events" / line["file"]).read_bytes())
        frame = b"\x00" + line["id"].to_bytes(4, "big")
        found[frame] = (line["type"], parse_schema(_physical(avro)))
    return found


_BY_FRAME = _schemas(Path(os.environ["PEER_SCHEMAS"]))


def _plain(value: object) -> str:
    return base64.b64encode(value).decode()  # type: ignore[arg-type]  # bytes are all it meets


def columns(value: bytes) -> tuple[Any, ...]:
    """The columns of a framed record, without `value`; the body as JSON in bytes."""
    type_, schema = _BY_FRAME[value[:_FRAME_BYTES]]
    stream = BytesIO(value)
    stream.seek(_FRAME_BYTES)
    record: Any = schemaless_reader(stream, schema, None)
    take = record.pop
    return (
        take("event_id"), take("case_id"), type_, take("version"), take("emitter"),
        take("emitter_sequence"), take("occurred_at"), take("recorded_at"), take("actor"),
        take("rule_set"), orjson.dumps(record, default=_plain),
    )  # fmt: skip


COLUMNS = (
    "event_id", "case_id", "event_type", "version", "emitter", "emitter_sequence", "occurred_at",
    "recorded_at", "actor", "rule_set", "body",
)  # fmt: skip
