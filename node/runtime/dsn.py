"""The address of a Postgres database (DSN) 数据库地址, checked without ever quoting it.

libpq quotes what it cannot read in its own errors, and a password with a sign that should have
been escaped ends up in the host or the port there. So what is not clear is refused before.
"""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import parse_dsn

_SCHEMES = ("postgresql://", "postgres://")
_HOW = (
    "write postgresql://user:password@host:5432/database, with each of : / ? # @ % and blank in "
    "user and password escaped as in %40 for @, or user=… password=… host=… with a value that "
    "has blanks in single quotes"
)
# Only these may hold what no line may show.
_SECRETS = ("password", "sslpassword", "passfile", "sslkey")
_SHORTEST = 3


class WrongDsn(ValueError):
    """A DSN that is none; its text quotes nothing of it."""


def check_dsn(dsn: str) -> None:
    """Raise `WrongDsn` unless libpq reads `dsn` as it was meant."""
    try:
        found = parse_dsn(dsn)
    except psycopg2.Error:
        raise WrongDsn(f"this is no address of a database (it is not shown here): {_HOW}") from None
    if _is_split_wrongly(dsn, found):
        raise WrongDsn(f"a sign in user or password is not escaped (it is not shown here): {_HOW}")


def without_secrets(text: str, dsn: str) -> str:
    """`text`, an error of the driver for `dsn`, with every secret of the DSN taken out."""
    try:
        found = parse_dsn(dsn)
    except psycopg2.Error:
        return "the address of the database cannot be read"
    for name in _SECRETS:
        secret = found.get(name, "")
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return text.replace(dsn, "***")


def _is_split_wrongly(dsn: str, found: dict[str, str]) -> bool:
    """Whether a part of the password can have come to stand elsewhere."""
    ports = found.get("port", "").split(",")
    if any(port and not port.isdecimal() for port in ports):
        return True
    if any(sign in found.get("host", "") for sign in "@?#") or "@" in found.get("dbname", ""):
        return True
    if not dsn.startswith(_SCHEMES):
        return False
    user, at, _ = dsn.partition("://")[2].rpartition("@")
    return bool(at) and any(sign in user for sign in "@/?# ")
