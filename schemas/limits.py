"""This module defines the limits of a record, the same for writers and readers."""

import re
from typing import Final

# An event has 0.7 to 8 kB and the longest opinion with fifty attachments 130 kB; Kafka's default
# limit is 1 MiB with key and headers. The densest valid record (an array of corrections without
# text, two bytes each) decodes to some 30 MB at this size, and to over 100 MB at Kafka's limit.
MAX_VALUE_BYTES: Final = 256 * 1024

# Micros of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: what RFC 3339, Python and
# Postgres can all say.
MIN_INSTANT_MICROS: Final = -62_135_596_800_000_000
MAX_INSTANT_MICROS: Final = 253_402_300_799_999_999

# The largest whole number that every JSON reader keeps exact; a version is raised by one at a time.
MAX_NUMBER: Final = 2**53 - 1
MAX_INT: Final = 2**31 - 1  # of Avro's int

# A case id is a Kafka key and a part of every index entry.
MAX_CASE_ID_CHARACTERS: Final = 64

# PostgreSQL's uuid would read other spellings too and give this one back.
UUID_PATTERN: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
is_uuid: Final = re.compile(UUID_PATTERN).fullmatch


def is_storable(text: str) -> bool:
    """Return whether Postgres and UTF-8 can hold the text: no NUL, no half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
