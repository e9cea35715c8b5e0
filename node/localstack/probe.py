"""Whether a Kafka broker answers: one ApiVersions request over a plain connection.

The client library tries for seconds and cannot tell "away" from "still starting".
"""

from __future__ import annotations

import socket
import struct

# ApiVersions, version 0, correlation id 1, no client id; Kafka's protocol guide.
_REQUEST = struct.pack(">hhih", 18, 0, 1, -1)
_TIMEOUT_SECONDS = 2.0
_HEAD_BYTES = 10  # size, correlation id, error code


def answers(host: str, port: int) -> bool:
    """Whether a Kafka broker there answers without an error."""
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS) as link:
            link.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
            head = _read(link, _HEAD_BYTES)
    except OSError:
        return False
    if len(head) < _HEAD_BYTES:
        return False
    _, correlation, error = struct.unpack(">iih", head)
    return bool(correlation == 1 and error == 0)


def any_answers(bootstrap_servers: str) -> bool:
    """Whether one of `host:port,host:port,…` answers."""
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if port.isdigit() and answers(host, int(port)):
            return True
    return False


def _read(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            break
        data += part
    return data
