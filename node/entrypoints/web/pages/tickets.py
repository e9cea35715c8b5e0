"""Tickets 凭据, which the page of an opened case carries instead of the query code.

A ticket is 256 random bits whose digest is in this node's database, so nobody can forge one. It is
issued after a code was proven, opens one case until half an hour after its last use, and is void
when a new query code is issued. It travels in forms only, never in an address. Every web process of
a node accepts the tickets of the others.
"""

import hashlib
import secrets
from datetime import datetime
from typing import Final, NamedTuple

from node.enquiry_access.query_codes import Stored
from node.postgres.connection import Cursor

_BYTES: Final = 32
_LONGEST: Final = 64
# Long enough to write down a reason.
_MINUTES: Final = 30

_MAKE = f"""
    insert into enquiry_ticket (digest, case_id, code_digest, expires_at)
    values (%s, %s, %s, now() + interval '{_MINUTES} minutes')
"""
_OPEN = f"""
    update enquiry_ticket set expires_at = now() + interval '{_MINUTES} minutes'
    from query_code
    where enquiry_ticket.digest = %s and expires_at > now()
      and query_code.case_id = enquiry_ticket.case_id
      and query_code.digest = enquiry_ticket.code_digest
    returning enquiry_ticket.case_id, query_code.issued_at
"""
# Rows that another process is deleting are skipped.
_FORGET = """
    delete from enquiry_ticket where digest in (
        select digest from enquiry_ticket where expires_at < now()
        limit 1000 for update skip locked)
"""


class Proven(NamedTuple):
    """A case that its petitioner opened, and when the code for it was issued."""

    case_id: str
    code_issued_at: datetime


def issue(cursor: Cursor, case_id: str, code: Stored) -> str:
    """Return a new ticket for a case whose present code was just proven."""
    ticket = secrets.token_urlsafe(_BYTES)
    cursor.execute(_FORGET)
    cursor.execute(_MAKE, (_digest(ticket), case_id, code.digest))
    return ticket


def redeem(cursor: Cursor, ticket: str) -> Proven | None:
    """Return the case that a ticket opens, or None if it is forged, too old or void."""
    if len(ticket) > _LONGEST:
        return None
    cursor.execute(_OPEN, (_digest(ticket),))
    row = cursor.fetchone()
    return Proven(*row) if row else None


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).digest()
