"""Encode and decode Avro on the wire 编解码: a zero byte, four bytes of schema id, one Avro record.

Instants are ints (micros), uuids are strings. fastavro reads; `schemas.validation.checked_writer`
writes, because it checks at the same time (ADR 33).
"""

from io import BytesIO
from typing import Any, Final, cast

from fastavro import schemaless_reader

from schemas.catalogue import Schema, catalogue
from schemas.errors import (
    EMPTY,
    INVALID_TEXT,
    MALFORMED,
    TOO_LARGE,
    TOO_SHORT,
    TRAILING_BYTES,
    UNKNOWN_SCHEMA,
    WRONG_MAGIC,
    Invalid,
    Undecodable,
)
from schemas.limits import MAX_VALUE_BYTES
from schemas.validation.checked_writer import record_writer
from schemas.validation.record_check import check_instants, check_record

FRAME_BYTES: Final = 5

# fastavro raises the first two for damaged bytes, as millions of damaged records showed; the others
# are a precaution, because an error that is not listed stops the process.
DAMAGED: Final = (EOFError, IndexError, OverflowError, ValueError)


def encode(schema: Schema, record: dict[str, Any]) -> bytes:
    """Return the wire value of a whole record: envelope and body, every field given.

    Raises Invalid, naming the field, for a field that is missing, unknown or of a wrong type, for
    NUL or a lone surrogate in text, for a length or number beyond its limit, for an instant outside
    the years 1 to 9999, and for a value over MAX_VALUE_BYTES.
    """
    parts = [schema.frame]
    try:
        record_writer(schema)(record, parts.append)
    except (KeyError, ValueError) as error:
        check_record(schema, record)
        raise Invalid("the event cannot be written") from error
    value = b"".join(parts)
    if len(value) > MAX_VALUE_BYTES:
        raise Invalid(
            f"the event has {len(value)} bytes and may have {MAX_VALUE_BYTES}:"
            " shorten its texts or move them to an attachment"
        )
    return value


def schema_id(value: bytes) -> int:
    """Return the schema id of a framed value; raise Undecodable if it is no frame or too large."""
    if not value:
        raise Undecodable(EMPTY, "the record has no value")
    if len(value) <= FRAME_BYTES:
        raise Undecodable(TOO_SHORT, f"{len(value)} bytes hold no framed record")
    if value[0] != 0:
        raise Undecodable(WRONG_MAGIC, f"the first byte is {value[0]:#04x}, not 0x00")
    if len(value) > MAX_VALUE_BYTES:
        raise Undecodable(TOO_LARGE, f"{len(value)} bytes, more than {MAX_VALUE_BYTES}")
    return int.from_bytes(value[1:FRAME_BYTES])


def schema_of(value: bytes) -> Schema | None:
    """Return the schema of a framed value, None if it is not in this release; raise as above."""
    return catalogue().by_id.get(schema_id(value))


def decode(value: bytes) -> tuple[Schema, dict[str, Any]]:
    """Return the schema and the whole record of a wire value; raise as `decode_as`, or with
    UNKNOWN_SCHEMA."""
    schema = schema_of(value)
    if schema is None:
        raise unknown_schema(value)
    return schema, decode_as(schema, value)


def decode_as(schema: Schema, value: bytes) -> dict[str, Any]:
    """Return the whole record of a framed value of this schema; raise Undecodable with its reason.

    Text may still hold NUL, for which a search would be too slow: the code that makes JSON of the
    record refuses \\u0000 as INVALID_TEXT.
    """
    record = read_record(schema.physical, value, exact=True)
    check_instants(schema.body_instants, record)
    return record


def unknown_schema(value: bytes) -> Undecodable:
    """Return the error for a schema id that is not in this release."""
    number = int.from_bytes(value[1:FRAME_BYTES])
    return Undecodable(UNKNOWN_SCHEMA, f"schema id {number} is not in this release")


def read_record(physical: dict[str, Any], value: bytes, *, exact: bool) -> dict[str, Any]:
    """Return the record after the frame; `exact` refuses further bytes. Raises Undecodable."""
    stream = BytesIO(value)
    stream.seek(FRAME_BYTES)
    try:
        record = cast(dict[str, Any], schemaless_reader(stream, physical, None))
    except UnicodeDecodeError as error:
        raise Undecodable(INVALID_TEXT, "a text is not UTF-8") from error
    except DAMAGED as error:
        raise Undecodable(MALFORMED, f"the bytes are no {physical['name']}") from error
    left = len(value) - stream.tell()
    if exact and left:
        raise Undecodable(TRAILING_BYTES, f"{left} bytes follow the record")
    return record
