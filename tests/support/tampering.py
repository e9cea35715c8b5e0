"""A ledger that somebody changed by hand, and the scrub that is to notice it."""

from typing import Any

from support.offices import Desk
from support.world import rows

from node.postgres.connection import connected
from node.runtime.settings import Settings
from node.scrub import projection_check
from node.scrub.ledger_pass import Verified, verify_ledger
from node.scrub.repair import Context


def verify(settings: Settings, *, heals: bool = True) -> Verified:
    """Recompute the whole ledger, as `petitionlink verify` does."""
    with connected(settings.dsn, "test") as connection:
        context = Context(settings.node, "test", projection_check.prepare(connection))
        return verify_ledger(connection, context, lambda *_: None, heals=heals)


def kinds(found: Verified) -> list[str]:
    """Return the findings by kind."""
    return [one.kind for one in found.found]


def open_kinds(settings: Settings) -> list[str]:
    """Return the kinds of the findings that are open."""
    query = "select kind from scrub_finding where healed_at is null order by 1"
    return [kind for (kind,) in rows(settings, query)]


def event_of(desk: Desk, emitter: str) -> tuple[str, bytes]:
    """Id and value of the first event of an emitter."""
    query = "select event_id::text, value from case_event where emitter = %s order by 1 limit 1"
    ((event_id, value),) = rows(desk.settings, query, (emitter,))
    return event_id, bytes(value)


def letter_changed(value: bytes, letter: str, by: str) -> bytes:
    """Return the value with one letter of a text changed, of the same length."""
    assert value.count(letter.encode()) == 1
    assert len(letter.encode()) == len(by.encode())
    return value.replace(letter.encode(), by.encode())


def set_value(settings: Settings, event_id: str, value: bytes) -> None:
    """Change a value in place."""
    rows(settings, "update case_event set value = %s where event_id = %s", (value, event_id))


def ledger(settings: Settings) -> list[tuple[Any, ...]]:
    """Return every event with its bytes, columns, body and digest."""
    return rows(
        settings,
        "select event_id::text, md5(value), case_id, version, emitter, emitter_sequence, body, "
        "digest from case_event order by 1",
    )


def folds(settings: Settings) -> list[tuple[Any, ...]]:
    """Return every case's fold and title."""
    return rows(settings, "select case_id, title, fold::text from petition_case order by 1")
