"""Opening a case 查询验证 by its number and query code.

A wrong case, a wrong code and a case at which too many were wrong give one and the same answer
after one and the same work. Only an address that tried too often hears so, at once: that says
something about itself, not about a case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Final

from node.postgres import Connection, Cursor
from node.queries import attempts, query_codes
from node.queries.attempts import Verdict

Connections = Callable[[], AbstractContextManager[Connection]]

_CASE_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")
_SEEN: Final = (
    "insert into audit_log (actor, action, case_id) values ('petitioner', 'enquiry.opened', %s)"
)
_STORED: Final = """
    select case_id from query_code where case_id in (%s, %s) order by case_id = %s desc limit 1
"""


class Refused(Enum):
    """Why a case was not opened."""

    WRONG = "wrong"
    TOO_OFTEN = "too_often"


def understood_case(text: str) -> str | None:
    """The case number that somebody meant to type, or None if it can be none."""
    folded = unicodedata.normalize("NFKC", text)
    dashed = "".join("-" if unicodedata.category(sign) == "Pd" else sign for sign in folded)
    kept = "".join(dashed.split())
    return kept if _CASE_ID.fullmatch(kept) else None


def open_case(
    connections: Connections, key: bytes, case: str, code: str, address: str
) -> str | Refused:
    """The id of the case that `case` and `code`, both as understood, open; audited.

    The attempt is on record before the code is looked at, and while that takes its time no
    connection is held.
    """
    with _transaction(connections) as cursor:
        # Our own numbers are in capitals; others may be in either.
        charged = attempts.charge(cursor, key, case.upper(), address)
        case_id = _stored(cursor, case)
        kept = query_codes.stored(cursor, case_id)
    if charged.verdict is Verdict.ADDRESS_CLOSED:
        return Refused.TOO_OFTEN
    right = query_codes.matches(kept, code)
    if not right or charged.verdict is not Verdict.FREE:
        return Refused.WRONG
    with _transaction(connections) as cursor:
        attempts.give_back(cursor, charged)
        cursor.execute(_SEEN, (case_id,))
    return case_id


@contextmanager
def _transaction(connections: Connections) -> Iterator[Cursor]:
    with connections() as connection, connection, connection.cursor() as cursor:
        yield cursor


def _stored(cursor: Cursor, case: str) -> str:
    cursor.execute(_STORED, (case, case.upper(), case))
    row = cursor.fetchone()
    return str(row[0]) if row else case
