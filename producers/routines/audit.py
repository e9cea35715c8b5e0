"""What routine supervision writes into the audit log 操作审计: every look, every issue."""

from __future__ import annotations

from typing import Final

from node.audit import note
from node.postgres import Cursor

__all__ = ["ISSUED", "REFUSED", "TRIED", "note", "was_tried"]

TRIED: Final = "supervision.tried"  # 试运行
ISSUED: Final = "supervision.issued"  # 下发
REFUSED: Final = "supervision.refused"  # 未能下发

_WAS_TRIED = (
    "select 1 from audit_log where action = 'supervision.tried' and detail ->> 'policy' = %s "
    "order by at desc limit 1"
)


def was_tried(cursor: Cursor, digest: str) -> bool:
    """Whether a dry run of the policy of this digest stands in the audit log."""
    cursor.execute(_WAS_TRIED, (digest,))
    return cursor.fetchone() is not None
