"""Tickets 凭据: what the page of an opened case carries, so that the code need not.

Signed, for one case, half an hour long, void when a new query code is issued. They travel in
forms only, never in an address. The key comes from the node's keys, so that every web process
of a node takes the tickets of the others.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Final

from node.postgres import Cursor
from node.queries.query_codes import stored

# Long enough to write down why one is dissatisfied.
_SECONDS: Final = 30 * 60
_MAC_BYTES: Final = 32


def key_for(purpose: str, secret: bytes) -> bytes:
    """A key of its own for one purpose of the pages."""
    return hmac.new(secret, f"petitionlink pages|{purpose}".encode(), hashlib.sha256).digest()


def make(cursor: Cursor, key: bytes, case_id: str) -> str:
    """A ticket for a case that was just opened by its code."""
    claim = f"{int(time.time()) + _SECONDS}|{case_id}".encode()
    return base64.urlsafe_b64encode(_mac(cursor, key, claim, case_id) + claim).decode()


def opened(cursor: Cursor, key: bytes, ticket: str) -> str | None:
    """The case that a ticket opens, or None if it is forged, too old or void."""
    try:
        raw = base64.b64decode(ticket.encode("ascii"), b"-_", validate=True)
        until, case_id = raw[_MAC_BYTES:].decode("ascii").split("|", 1)
        expiry = int(until)
    except ValueError:
        return None
    if not hmac.compare_digest(_mac(cursor, key, raw[_MAC_BYTES:], case_id), raw[:_MAC_BYTES]):
        return None
    return case_id if time.time() < expiry else None


def _mac(cursor: Cursor, key: bytes, claim: bytes, case_id: str) -> bytes:
    kept = None if "\0" in case_id else stored(cursor, case_id)
    bound = kept.digest if kept else b""
    return hmac.new(key, claim + b"|" + bound, hashlib.sha256).digest()
