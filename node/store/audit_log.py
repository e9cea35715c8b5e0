"""The audit log 操作审计: what people and routines did that is no event of a case."""

from __future__ import annotations

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
    """One line of the audit log, in the caller's transaction; `detail` holds no personal data."""
    cursor.execute(_NOTE, (actor, action, case_id, Json(detail or {})))
