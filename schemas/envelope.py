"""Read and check the envelope 信封, the first fields of every event of any type and version.

Because it comes first, it can be read from a record whose schema this release does not know.
"""

from functools import cache
from typing import Any, cast

from fastavro.schema import parse_schema

from schemas.catalogue import catalogue
from schemas.codec import read_record, schema_id
from schemas.event import ENVELOPE_FIELDS
from schemas.validation.record_check import check_envelope


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
