"""Advisory locks 咨询锁 of Postgres, which let one of several processes of a node do some work.

`try_lock` locks for the session: whoever loses the connection loses the lock.
"""

from enum import Enum
from typing import Final

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - as `node.postgres.connection` calls it

# The arguments of Postgres' functions; a pair of numbers and a single one are different locks.
_ALONE: Final = "%(number)s"
_FIRST_OF_PAIR: Final = "%(number)s, 0"
_BY_NAME: Final = "%(number)s, hashtext(%(name)s)"


class Lock(Enum):
    """The locks of this product; their numbers are the same in every release."""

    MIGRATION = 0x70657469, _ALONE
    REBUILD = 0x72656264, _ALONE
    HEALING = 0x68656C73, _ALONE
    SCRUB = 0x73637275, _FIRST_OF_PAIR
    RECONCILER = 0x70726F66, _FIRST_OF_PAIR
    RELAY = 0x0072656C, _BY_NAME  # by topic
    ROUTINE = 0x726F7574, _BY_NAME  # by the routine's name


def try_lock(cursor: Cursor, lock: Lock, name: str = "") -> bool:
    """Take a lock for this session without waiting; return False if another session holds it."""
    _call(cursor, "pg_try_advisory_lock", lock, name)
    return cursor.fetchone() == (True,)


def wait_for_lock(cursor: Cursor, lock: Lock) -> None:
    """Take a lock for this session; wait at most for the transaction's `lock_timeout`."""
    _call(cursor, "pg_advisory_lock", lock)


def wait_for_transaction_lock(cursor: Cursor, lock: Lock) -> None:
    """Take a lock until the transaction ends; wait at most for its `lock_timeout`."""
    _call(cursor, "pg_advisory_xact_lock", lock)


def unlock(cursor: Cursor, lock: Lock) -> None:
    _call(cursor, "pg_advisory_unlock", lock)


def _call(cursor: Cursor, function: str, lock: Lock, name: str = "") -> None:
    number, arguments = lock.value
    cursor.execute(f"select {function}({arguments})", {"number": number, "name": name})
