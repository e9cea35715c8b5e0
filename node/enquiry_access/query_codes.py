"""Query codes 查询码, which with the case number open the petitioner's own view of a case.

A code is random, shown once, void after the next one, and known only to the node that issued it:
no event has it. The database stores only a salted scrypt digest.
"""

import hashlib
import hmac
import os
import secrets
import threading
import unicodedata
from typing import Final, NamedTuple

from node.postgres.connection import Cursor
from node.runtime.errors import PetitionLinkError
from node.store import audit_log

# Crockford's base 32: no I, L, O and U, which are mistaken for digits or for each other.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# 60 random bits: at the rate that the limits allow, guessing takes longer than archives are kept.
LENGTH: Final = 12
_GROUP: Final = 4
_MEANT: Final = str.maketrans("OIL", "011")
_SALT_BYTES: Final = 16
# A check takes about 50 ms and 16 MiB: users do not notice, and a stolen table is of no use.
_SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}
# Concurrent checks take at most this many times 16 MiB.
_AT_ONCE = threading.BoundedSemaphore(4)


class Stored(NamedTuple):
    """A code as the database stores it."""

    salt: bytes
    digest: bytes


# It is compared if there is no code: the same work, and never equal.
_NOTHING: Final = Stored(bytes(_SALT_BYTES), bytes(64))

_ISSUE = """
    insert into query_code (case_id, salt, digest, issued_by)
    select case_id, %s, %s, %s from petition_case where case_id = %s
    on conflict (case_id) do update set salt = excluded.salt, digest = excluded.digest,
        issued_at = excluded.issued_at, issued_by = excluded.issued_by
"""
_READ = "select salt, digest from query_code where case_id = %s"


def issue(cursor: Cursor, case_id: str, issued_by: str) -> str:
    """Issue a new code for the case and return it as it is shown; an older one becomes void.

    Audited in the same transaction. Raises `PetitionLinkError` if the case is unknown here.
    """
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    salt = os.urandom(_SALT_BYTES)
    cursor.execute(_ISSUE, (salt, _digest(code, salt), issued_by, case_id))
    if cursor.rowcount == 0:
        raise PetitionLinkError(
            f"case {case_id} is unknown to this node: a query code is issued where the case is"
        )
    audit_log.note(cursor, issued_by, "query_code.issued", case_id=case_id)
    return shown(code)


def shown(code: str) -> str:
    """Return the code in groups, to be copied by hand: XXXX-XXXX-XXXX."""
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def understood(text: str) -> str | None:
    """Return the code that somebody meant to type, or None if it cannot be one.

    Case, spaces, dashes of every kind and full-width letters do not matter; O is 0, I and L are 1.
    """
    folded = unicodedata.normalize("NFKC", text).upper().translate(_MEANT)
    kept = "".join(sign for sign in folded if unicodedata.category(sign) not in ("Zs", "Pd", "Cc"))
    return kept if len(kept) == LENGTH and set(kept) <= set(ALPHABET) else None


def stored(cursor: Cursor, case_id: str) -> Stored | None:
    """Return the present code of a case as stored; None if it has none."""
    cursor.execute(_READ, (case_id,))
    row = cursor.fetchone()
    return Stored(bytes(row[0]), bytes(row[1])) if row else None


def matches(kept: Stored | None, code: str) -> bool:
    """Return whether `code`, as `understood`, is the stored one; it always takes as long.

    It takes about 50 ms, so hold no transaction meanwhile.
    """
    salt, digest = kept or _NOTHING
    return hmac.compare_digest(_digest(code, salt), digest) and kept is not None


def _digest(code: str, salt: bytes) -> bytes:
    with _AT_ONCE:
        return hashlib.scrypt(code.encode(), salt=salt, **_SCRYPT)
