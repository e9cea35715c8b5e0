"""The reason why a connection was refused 连接被拒的原因, by SQLSTATE and not by text.

For a failed connection the driver gives only Postgres' text, in the language of `lc_messages`.
libpq can give the SQLSTATE instead, if told so while it connects; so a failed attempt is repeated
once that way.
"""

import ctypes
import re
import select
import time
from typing import Final

import psycopg2
import psycopg2.extensions
from psycopg2 import _psycopg

from node.runtime.errors import Fatal, Transient, first_line

# Invalid authorization, no such database, no right to connect to it: retrying does not help.
_FATAL: Final = ("28", "3D000", "42501")
_PROBE_SECONDS = 3.0
_ONLY_SQLSTATE = 3  # PQERRORS_SQLSTATE of libpq-fe.h
# libpq writes severity, colon, two blanks and the code at the end of a line.
_SQLSTATE = re.compile(r":\s+([0-9A-Z]{5})\s*$")


def refused(dsn: str, error: psycopg2.Error) -> Transient | Fatal:
    text = first_line(error) or type(error).__name__
    if isinstance(error, psycopg2.ProgrammingError):  # libpq cannot read the address
        return Fatal("PETITIONLINK_POSTGRES_DSN is no connection string that libpq can read")
    codes, lacks_password = _reason(dsn)
    if lacks_password:
        return Fatal("Postgres asks for a password: add it to PETITIONLINK_POSTGRES_DSN")
    # Of several hosts one may be away and accept us later: all that were tried must refuse us.
    if codes and all(code.startswith(_FATAL) for code in codes):
        return Fatal(f"Postgres refuses us ({codes[0]}): {text}: check PETITIONLINK_POSTGRES_DSN")
    return Transient(f"Postgres is away: {text}")


def _reason(dsn: str) -> tuple[list[str], bool]:
    """Connect again; return the SQLSTATE of each host, and whether the server wants a password.

    A host that is away has the code "", and there are no codes if no server answers in time. libpq
    tries no further host after a wrong password.
    """
    try:
        asking = psycopg2.connect(dsn, async_=1, application_name="petitionlink-probe")
    except psycopg2.Error:
        return [], False
    try:
        _libpq().PQsetErrorVerbosity(ctypes.c_void_p(asking.pgconn_ptr), _ONLY_SQLSTATE)
        finished(asking, time.monotonic() + _PROBE_SECONDS)
    except psycopg2.Error as error:
        lacks = _libpq().PQconnectionNeedsPassword(ctypes.c_void_p(asking.pgconn_ptr))
        return _codes(str(error)), bool(lacks)
    finally:
        asking.close()
    return [], False


def _codes(text: str) -> list[str]:
    matches = (_SQLSTATE.search(line) for line in text.splitlines() if line.strip())
    return [match[1] if match else "" for match in matches]


def _libpq() -> ctypes.CDLL:
    """Return the driver's own libpq, through the driver's library."""
    return ctypes.CDLL(_psycopg.__file__)


def finished(asking: psycopg2.extensions.connection, deadline: float) -> bool:
    """Wait for an asynchronous connection or query; return False if `deadline` comes first.

    Raises what the driver raises. `deadline` is a time of the monotonic clock.
    """
    while (wait := asking.poll()) != psycopg2.extensions.POLL_OK:
        place = [asking.fileno()]
        reads, writes = (place, []) if wait == psycopg2.extensions.POLL_READ else ([], place)
        ready = select.select(reads, writes, [], max(0.0, deadline - time.monotonic()))
        if ready == ([], [], []):
            return False
    return True
