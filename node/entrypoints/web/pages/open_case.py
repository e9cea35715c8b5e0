"""Open a case 查询验证 by its number and query code.

A wrong case and a wrong code give the same answer after the same work. Only an address that tried
too often is told so, and at once: that says nothing about a case.
"""

import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Final, NamedTuple

from node.enquiry_access import attempt_limit, query_codes
from node.entrypoints.web.pages import tickets
from node.postgres.connection import Connection, Cursor
from node.runtime.errors import Transient
from node.store import audit_log

Connections = Callable[[], AbstractContextManager[Connection]]

_CASE_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")
# A check takes 50 ms, and four run at once. Further requests are refused, rather than holding the
# threads that answer everybody else.
_CHECKS = threading.BoundedSemaphore(16)
_STORED: Final = """
    select case_id from query_code where case_id in (%s, %s) order by case_id = %s desc limit 1
"""


class Opened(NamedTuple):
    """A case, and the ticket that replaces its code from now on."""

    case_id: str
    ticket: str


class OpenRefusal(Enum):
    """The reason why a case was not opened."""

    WRONG = "wrong"
    TOO_OFTEN = "too_often"


def parse_case_id(text: str) -> str | None:
    """Return the case id that somebody meant to type, or None if the text cannot be one."""
    folded = unicodedata.normalize("NFKC", text)
    dashed = "".join("-" if unicodedata.category(char) == "Pd" else char for char in folded)
    case_id = "".join(dashed.split())
    return case_id if _CASE_ID.fullmatch(case_id) else None


def open_case(
    connections: Connections, key: bytes, case: str, code: str, address: str
) -> Opened | OpenRefusal:
    """Open a case by its number and code, both parsed; audited.

    The attempt is recorded before the code is checked, and no connection is held during the check.
    Raises `Transient` if too many codes are being checked already.
    """
    if not _CHECKS.acquire(blocking=False):
        raise Transient("too many query codes are being checked at once")
    try:
        return _open_case(connections, key, case, code, address)
    finally:
        _CHECKS.release()


def _open_case(
    connections: Connections, key: bytes, case: str, code: str, address: str
) -> Opened | OpenRefusal:
    with _transaction(connections) as cursor:
        # Our own numbers are in capitals; others may be in either.
        charged = attempt_limit.charge(cursor, key, case.upper(), address)
        case_id = _stored(cursor, case)
        kept = query_codes.stored(cursor, case_id)
    if not charged.allowed:
        return OpenRefusal.TOO_OFTEN
    if not query_codes.matches(kept, code) or kept is None:
        return OpenRefusal.WRONG
    with _transaction(connections) as cursor:
        attempt_limit.give_back(cursor, charged)
        audit_log.note(cursor, "petitioner", "enquiry.opened", case_id=case_id)
        return Opened(case_id, tickets.issue(cursor, case_id, kept))


@contextmanager
def _transaction(connections: Connections) -> Iterator[Cursor]:
    with connections() as connection, connection, connection.cursor() as cursor:
        yield cursor


def _stored(cursor: Cursor, case: str) -> str:
    cursor.execute(_STORED, (case, case.upper(), case))
    row = cursor.fetchone()
    return str(row[0]) if row else case
