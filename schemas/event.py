"""This module defines an event 事件, as all packages of the project pass it on."""

from typing import Any, Final, NamedTuple

SOURCE_PREFIX: Final = "/nodes/"

# Every record of every type and version begins with these fields, in this order.
ENVELOPE_FIELDS: Final = (
    "event_id",
    "case_id",
    "version",
    "emitter",
    "emitter_sequence",
    "occurred_at",
    "recorded_at",
    "actor",
    "rule_set",
)


class Event(NamedTuple):
    """An event and the bytes that it travels in.

    Instants are micros: whole microseconds since 1970-01-01T00:00Z. `body` is the record without
    its envelope (bytes stay bytes) and is empty for a type that this release does not know.
    `value` is the wire value, which is forwarded byte for byte. `extra_headers` is the whole
    received header list if it is not exactly the standard one, else None.
    """

    type: str
    event_id: str
    case_id: str
    version: int
    emitter: str
    emitter_sequence: int
    occurred_at: int
    recorded_at: int
    actor: str
    rule_set: str
    body: dict[str, Any]
    value: bytes
    traceparent: str
    extra_headers: tuple[tuple[str, bytes], ...] | None = None

    @property
    def key(self) -> bytes:
        """Return the record's key: the case id in UTF-8, which keeps a case in one partition."""
        return self.case_id.encode()

    @property
    def source(self) -> str:
        """Return the CloudEvents source of the emitter 发出节点, e.g. `/nodes/370000`."""
        return SOURCE_PREFIX + self.emitter

    @property
    def schema_id(self) -> int:
        """Return the schema id in the frame of the value (bytes 1 to 4, big-endian)."""
        return int.from_bytes(self.value[1:5])
