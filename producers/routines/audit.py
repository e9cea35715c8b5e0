"""What routine supervision writes into the audit log 操作审计: every look, every issue."""

from __future__ import annotations

from typing import Any, Final

from psycopg2.extras import Json

from node.postgres import Cursor

TRIED: Final = "supervision.tried"  # 试运行
ISSUED: Final = "supervision.issued"  # 下发
REFUSED: Final = "supervision.refused"  # 未能下发

_NOTE = "insert into audit_log (actor, action, case_id, detail) values (%s, %s, %s, %s)"
_WAS_TRIED = (
    "select 1 from audit_log where action = 'supervision.tried' and detail ->> 'policy' = %s "
    "order by at desc limit 1"
)


def note(
    cursor: Cursor, actor: str, action: str, detail: dict[str, Any], case_id: str | None = None
) -> None:
    """One line of the audit log, in the caller's transaction; `detail` holds no personal data."""
    cursor.execute(_NOTE, (actor, action, case_id, Json(detail)))


def was_tried(cursor: Cursor, digest: str) -> bool:
    """Whether a dry run of the policy of this digest stands in the audit log."""
    cursor.execute(_WAS_TRIED, (digest,))
    return cursor.fetchone() is not None
