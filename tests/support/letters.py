"""Dead letters for tests: put into a node's table as the consumer puts them, or by its way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from support.world import Raw, rows

from consumers import decode
from consumers.batch import Poison
from consumers.dead_letters import keep
from consumers.decode import ReadContext, decode_batch
from node.postgres.connection import connected
from node.runtime.settings import Settings
from schemas.errors import MALFORMED, Undecodable

_ALL = 'select id, status, reason, actor, resolution from dead_letter order by "offset"'

CONTEXT = ReadContext("000000", 0, lambda: False)


class Record(NamedTuple):
    """A record as the consumer would have polled it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, Any]]
    timestamp: int


def record(topic: str, offset: int, raw: Raw) -> Record:
    """Return a record of partition 0."""
    return Record(topic, 0, offset, *raw, 1_767_225_600_123)


def kept(settings: Settings, *poison: Poison) -> list[int]:
    """Poison in the table; the ids of its letters."""
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        keep(cursor, poison)
        cursor.execute("select id from dead_letter order by id desc limit %s", (len(poison),))
        return sorted(id_ for (id_,) in cursor)


def misread(topic: str, offset: int, raw: Raw, reason: str = MALFORMED) -> Poison:
    """Return a good event that a release with a defect took for poison."""
    return Poison(record(topic, offset, raw), reason, "a defect of the release before")


def poison(topic: str, offset: int, raw: Raw) -> Poison:
    """Return a record that is poison in this release too."""
    (found,) = decode_batch([record(topic, offset, raw)], [], CONTEXT).poison
    return found


def states(settings: Settings) -> list[tuple[Any, ...]]:
    """Return of each letter, by offset: id, status, reason, actor, resolution."""
    return rows(settings, _ALL)


def audited(settings: Settings, action: str) -> list[tuple[Any, ...]]:
    """Actor, case and detail of each line of the audit log with this action."""
    return rows(
        settings,
        "select actor, case_id, detail from audit_log where action = %s order by id",
        (action,),
    )


@contextmanager
def defective_release(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, no event at all can be read."""

    def cannot(*_given: object) -> object:
        raise Undecodable(MALFORMED, "a defect of this release")

    with monkeypatch.context() as patch:
        patch.setattr(decode, "read_event", cannot)
        yield
