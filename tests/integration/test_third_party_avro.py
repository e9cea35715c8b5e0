"""The `avro` package, Apache's own, reads our values with the shipped schemas alone."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import avro.io
import avro.schema
import fastavro
import pytest
from support.ledgers import records
from support.published import EVENTS, NODE, TITLE, TOPIC, publish_a_case

from node.localstack import LocalStack

_SCHEMAS = Path(__file__).parents[2] / "schemas"
_FRAME_BYTES = 5
_ENVELOPE = [
    "event_id", "case_id", "version", "emitter", "emitter_sequence",
    "occurred_at", "recorded_at", "actor", "rule_set",
]  # fmt: skip


class Read(NamedTuple):
    """A record as a third party has it: what came, the schema's text, the decoded datum."""

    value: bytes
    headers: dict[str, bytes]
    schema: str
    datum: dict[str, Any]

    def schema_of(self, field: str) -> avro.schema.Schema:
        """Return the type of a field."""
        parsed = avro.schema.parse(self.schema)
        assert isinstance(parsed, avro.schema.RecordSchema)
        found = parsed.fields_dict[field].type
        assert isinstance(found, avro.schema.Schema)
        return found


@pytest.fixture(scope="module")
def found(stack: LocalStack) -> list[Read]:
    """The events of one case, read with nothing but catalogue.json and the .avsc files."""
    case_id = publish_a_case()
    mine = [record for record in records(NODE, TOPIC) if record.key == case_id.encode()]
    return [_read(record.value, dict(record.headers)) for record in mine]


def _read(value: bytes, headers: dict[str, bytes]) -> Read:
    assert value[0] == 0
    number = int.from_bytes(value[1:_FRAME_BYTES])
    catalogue = json.loads((_SCHEMAS / "catalogue.json").read_text())
    (file,) = [entry["file"] for entry in catalogue if entry["id"] == number]
    text = (_SCHEMAS / "events" / file).read_text()
    stream = io.BytesIO(value[_FRAME_BYTES:])
    datum = avro.io.DatumReader(avro.schema.parse(text)).read(avro.io.BinaryDecoder(stream))
    assert stream.read() == b"", "the record ends with the value"
    assert isinstance(datum, dict)
    return Read(value, headers, text, datum)


def test_every_value_is_decoded_whole_and_begins_with_the_envelope(found: list[Read]) -> None:
    assert len(found) == EVENTS
    for number, read in enumerate(found, start=1):
        assert [*read.datum][: len(_ENVELOPE)] == _ENVELOPE
        assert read.datum["version"] == read.datum["emitter_sequence"] == number
        assert read.datum["emitter"] == NODE
    assert found[0].datum["title"] == TITLE
    assert found[0].datum["accused"] == ["甲", "乙"]


def test_instants_are_datetimes_with_zone_and_agree_with_the_headers(found: list[Read]) -> None:
    for read in found:
        for name in ("occurred_at", "recorded_at"):
            assert isinstance(read.datum[name], datetime)
            assert read.datum[name].utcoffset() is not None
        header = datetime.fromisoformat(read.headers["ce_time"].decode())
        assert read.datum["recorded_at"] == header
        assert abs((datetime.now(UTC) - header).total_seconds()) < 600


def test_event_ids_are_uuids_and_agree_with_the_headers(found: list[Read]) -> None:
    for read in found:
        assert read.schema_of("event_id").props["logicalType"] == "uuid"
        # The library gives text for a uuid that is a string on the wire.
        assert UUID(read.datum["event_id"]).version == 7
        assert read.datum["event_id"].encode() == read.headers["ce_id"]


def test_the_petitioner_is_sealed_for_the_registrar_and_the_centre(found: list[Read]) -> None:
    sealed = found[0].datum["petitioner"]
    assert sorted(key["node"] for key in sealed["keys"]) == ["000000", NODE]
    assert "张示例".encode() not in found[0].value


def test_the_fingerprint_header_is_that_of_the_schema_by_another_library(
    found: list[Read],
) -> None:
    for read in found:
        # Its canonical form keeps {"type": "string"} where there was a logical type; the
        # specification wants "string" (rule PRIMITIVES), so these are taken out before.
        simple = json.loads(read.schema, object_hook=_without_logical_type)
        fingerprint = avro.schema.parse(json.dumps(simple)).fingerprint("CRC-64-AVRO")
        assert fingerprint.hex() == read.headers["schema-fingerprint"].decode()


def _without_logical_type(part: dict[str, Any]) -> Any:
    return part["type"] if "logicalType" in part else part


def test_what_one_library_decodes_two_libraries_encode_to_the_same_bytes(
    found: list[Read],
) -> None:
    for read in found:
        once, twice = io.BytesIO(), io.BytesIO()
        parsed = avro.schema.parse(read.schema)
        avro.io.DatumWriter(parsed).write(read.datum, avro.io.BinaryEncoder(once))
        fastavro.schemaless_writer(
            twice, fastavro.parse_schema(json.loads(read.schema)), read.datum, strict=True
        )
        assert once.getvalue() == twice.getvalue() == read.value[_FRAME_BYTES:]
