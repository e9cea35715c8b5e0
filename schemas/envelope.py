"""Read and check the envelope 信封, the first fields of every event of any type and version.

Because it comes first, it can be read from a record whose schema this release does not know.
"""

from functools import cache
from typing import Any, cast

from fastavro.schema import parse_schema

from schemas.catalogue import catalogue
from schemas.codec import read_record, schema_id
from schemas.errors import INVALID_TEXT, MALFORMED, OUT_OF_RANGE, Undecodable
from schemas.event import ENVELOPE_FIELDS
from schemas.limits import (
    MAX_CASE_ID_CHARACTERS,
    MAX_INSTANT_MICROS,
    MAX_NUMBER,
    MIN_INSTANT_MICROS,
    is_uuid,
)


@cache
def envelope_schema() -> dict[str, Any]:
    """Return the envelope as a parsed Avro record, from the shipped schemas."""
    physical = next(iter(catalogue().by_id.values())).physical
    fields = physical["fields"][: len(ENVELOPE_FIELDS)]
    envelope = {"type": "record", "name": "petition.Envelope", "fields": fields}
    return cast(dict[str, Any], parse_schema(envelope))


def decode_envelope(value: bytes) -> dict[str, Any]:
    """Return the envelope of a framed record of any schema id, without reading the body.

    Raises Undecodable if the value is no frame or does not begin with a valid envelope.
    """
    schema_id(value)
    record = read_record(envelope_schema(), value, exact=False)
    check_envelope(record)
    return record


def check_envelope(record: dict[str, Any]) -> None:
    """Raise Undecodable unless the envelope can be stored: ranges, ids, no NUL in its texts."""
    if not is_uuid(record["event_id"]):
        raise Undecodable(MALFORMED, "event_id is no UUID of 36 characters in lower case")
    case_id = record["case_id"]
    if not 0 < len(case_id) <= MAX_CASE_ID_CHARACTERS:
        raise Undecodable(MALFORMED, f"case_id has {len(case_id)} characters")
    if "\0" in case_id + record["emitter"] + record["actor"] + record["rule_set"]:
        raise Undecodable(INVALID_TEXT, "NUL in the envelope")
    if not (
        0 < record["version"] <= MAX_NUMBER
        and 0 < record["emitter_sequence"] <= MAX_NUMBER
        and MIN_INSTANT_MICROS <= record["occurred_at"] <= MAX_INSTANT_MICROS
        and MIN_INSTANT_MICROS <= record["recorded_at"] <= MAX_INSTANT_MICROS
    ):
        raise Undecodable(OUT_OF_RANGE, "a number or an instant of the envelope is out of range")
