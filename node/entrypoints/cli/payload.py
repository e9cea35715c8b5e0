"""The payload of a dead letter 死信内容 in full, and the few headers that everybody may see."""

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

from node.queries.dead_letters import Headers, Payload
from schemas.limits import UUID_PATTERN

# Headers without personal data. A value of another form is not shown.
_PLAIN: Final = {
    "ce_specversion": r"[0-9.]{1,10}",
    "ce_id": UUID_PATTERN,
    "ce_type": r"[a-z_]{1,40}(\.[a-z0-9_]{1,40}){1,4}",
    "ce_source": r"/nodes/[0-9]{6}",
    "ce_time": r"[0-9-]{10}T[0-9:.]{8,15}(Z|[+-][0-9:]{5})",
    "ce_subject": r"[0-9]{6}-[0-9]{8}-[0-9A-Z]{8}",
    "content-type": r"[a-z]{1,20}/[a-z0-9.+-]{1,40}",
    "traceparent": r"[0-9a-f-]{1,60}",
    "schema-fingerprint": r"[0-9a-f]{16}",
}
_LINE_BYTES: Final = 16


def known_headers(headers: Headers) -> list[dict[str, Any]]:
    """Return each header's name and size, its value only if it is an id, a type or an instant."""
    return [_known(name, value or b"") for name, value in headers]


def _known(name: str, value: bytes) -> dict[str, Any]:
    about: dict[str, Any] = {"name": printable(name), "size": len(value)}
    pattern = _PLAIN.get(name)
    if pattern and re.fullmatch(pattern, text := value.decode("ascii", "replace"), re.ASCII):
        about["value"] = text
    return about


def payload_as_data(payload: Payload) -> dict[str, Any]:
    """Return the bytes as base64, None for absent ones."""
    return {
        "key": _base64(payload.key),
        "value": _base64(payload.value),
        "headers": [[name, _base64(value)] for name, value in payload.headers],
    }


def payload_as_text(payload: Payload) -> Iterator[str]:
    """Yield lines: key and headers as text, the value as hexadecimal and as text."""
    yield f"key 键: {_text(payload.key)}"
    for name, value in payload.headers:
        yield f"header {printable(name)}: {_text(value)}"
    yield f"value 值: {_size(payload.value)}"
    value = payload.value or b""
    for start in range(0, len(value), _LINE_BYTES):
        part = value[start : start + _LINE_BYTES]
        yield f"{start:08x}  {part.hex(' '):<{3 * _LINE_BYTES}} {_ascii(part)}"
    if value:
        yield f"value as text 文本: {_text(value)}"


def printable(text: str) -> str:
    """Return `text` with a dot for each character that a terminal would not print."""
    return "".join(char if char.isprintable() else "·" for char in text)


def _ascii(content: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in content)


def _text(content: bytes | None) -> str:
    return "none" if content is None else printable(content.decode("utf-8", "replace"))


def _size(content: bytes | None) -> str:
    return "none" if content is None else f"{len(content)} bytes"


def _base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()
