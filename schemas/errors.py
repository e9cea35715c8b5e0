"""The exceptions of the project, and the reasons why a record is poison 毒消息."""

from typing import Final

# Reason codes are written to dead_letter.reason and are a metric label: few, short, never renamed.
EMPTY: Final = "empty"  # no value at all, or a tombstone
TOO_SHORT: Final = "too_short"  # fewer than the five bytes of the frame
WRONG_MAGIC: Final = "wrong_magic"  # the first byte is not the zero of the Confluent frame
UNKNOWN_SCHEMA: Final = "unknown_schema"  # a known type under an unknown schema id
TOO_LARGE: Final = "too_large"  # over the size cap, checked before anything is decoded
MALFORMED: Final = "malformed"  # the bytes are no record of the schema that they name
TRAILING_BYTES: Final = "trailing_bytes"  # a valid record with something after it
INVALID_TEXT: Final = "invalid_text"  # NUL or a lone surrogate: Postgres can store neither
OUT_OF_RANGE: Final = "out_of_range"  # an instant outside the years 1 to 9999, a number below 1
WRONG_HEADERS: Final = "wrong_headers"  # key or headers say something else than the record
WRONG_FINGERPRINT: Final = "wrong_fingerprint"  # the schema id was re-used for another schema
WRONG_EMITTER: Final = "wrong_emitter"  # not from the node whose topic it came by, or not for us
REFUSED_BY_DATABASE: Final = "refused_by_database"  # Postgres refused the row by its content

REASONS: Final = (
    *(EMPTY, TOO_SHORT, WRONG_MAGIC, UNKNOWN_SCHEMA, TOO_LARGE, MALFORMED, TRAILING_BYTES),
    *(INVALID_TEXT, OUT_OF_RANGE, WRONG_HEADERS, WRONG_FINGERPRINT, WRONG_EMITTER),
    REFUSED_BY_DATABASE,
)


class PetitionLinkError(Exception):
    """The base of all errors that the product reports with one clear line for its user."""


class SchemaError(PetitionLinkError):
    """The shipped schemas or their catalogue are damaged: nothing can be read or written."""


class Invalid(PetitionLinkError):
    """A value cannot be written; the message names the field and what is wrong with it."""


class Undecodable(PetitionLinkError):
    """The record is poison 毒消息: its bytes will never be an event.

    `reason` is one of REASONS; `detail` is for people and never holds the content of a record.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["Undecodable"], tuple[str, str]]:
        return type(self), (self.reason, self.detail)
