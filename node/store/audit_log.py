"""The audit log 操作审计 records acts of people and routines that are no events of a case."""

from typing import Any

from psycopg2.extras import Json

from node.postgres.connection import Cursor

_NOTE = "insert into audit_log (actor, action, case_id, detail) values (%s, %s, %s, %s)"


def note(
    cursor: Cursor,
    actor: str,
    action: str,
    detail: dict[str, Any] | None = None,
    case_id: str | None = None,
) -> None:
    """Add a line in the caller's transaction; `detail` must hold no personal data."""
    cursor.execute(_NOTE, (actor, action, case_id, Json(detail or {})))
