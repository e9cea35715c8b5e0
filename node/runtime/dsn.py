"""Checks of the address of a Postgres database (DSN) 数据库地址, which never quote it.

libpq's errors quote what it cannot parse, and a password with a character that should have been
escaped ends up in their host or port. So an ambiguous address is refused before.
"""

import psycopg2
from psycopg2.extensions import parse_dsn

_SCHEMES = ("postgresql://", "postgres://")
_HOW = (
    "write postgresql://user:password@host:5432/database, with each of : / ? # @ % and blank in "
    "user and password escaped as in %40 for @, or user=… password=… host=… with a value that "
    "has blanks in single quotes"
)
# The fields whose values must never be shown.
_SECRETS = ("password", "sslpassword", "passfile", "sslkey")
_SHORTEST = 3


class WrongDsn(ValueError):
    """A DSN is invalid; the message quotes nothing of it."""


def check_dsn(dsn: str) -> None:
    """Raise `WrongDsn` unless libpq parses `dsn` as it was meant."""
    try:
        fields = parse_dsn(dsn)
    except psycopg2.Error:
        raise WrongDsn(f"this is no address of a database (it is not shown here): {_HOW}") from None
    if _is_split_wrongly(dsn, fields):
        raise WrongDsn(f"a sign in user or password is not escaped (it is not shown here): {_HOW}")


def without_secrets(text: str, dsn: str) -> str:
    """Replace every secret of `dsn` in `text`, an error of the driver."""
    try:
        fields = parse_dsn(dsn)
    except psycopg2.Error:
        return "the address of the database cannot be read"
    for name in _SECRETS:
        secret = fields.get(name, "")
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return text.replace(dsn, "***")


def _is_split_wrongly(dsn: str, fields: dict[str, str]) -> bool:
    """Return True if a part of the password may be in another field."""
    ports = fields.get("port", "").split(",")
    if any(port and not port.isdecimal() for port in ports):
        return True
    if any(sign in fields.get("host", "") for sign in "@?#") or "@" in fields.get("dbname", ""):
        return True
    if not dsn.startswith(_SCHEMES):
        return False
    user, at, _ = dsn.partition("://")[2].rpartition("@")
    return bool(at) and any(sign in user for sign in "@/?# ")
