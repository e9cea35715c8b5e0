"""Export and import 导出导入 in tests: cases that took some steps, written and read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.world import do

from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.settings import Settings
from producers.register import load_mapping, read_register
from producers.register_export.export_cases import ExportRequest, ExportTotals, export
from producers.register_import.import_rows import ImportTotals as Imported
from producers.register_import.import_rows import import_rows

BEIJING, SHANDONG = "110000", "370000"
# A case without what only the node that has it knows: ids, keys, seals.
TOLD = """
    select e.event_type, (extract(epoch from e.occurred_at) * 1000000)::bigint,
           e.body - array['petitioner', 'identity_digest', 'petitioner_keys', 'clocks']
    from case_event e join petition_case c using (case_id)
    order by c.registered_at, c.fold -> 'registration' ->> 'origin_number', e.version
"""
_FIRST = datetime(2019, 1, 7, 1, tzinfo=UTC)
SENTENCES = (
    *("供暖不足,请解决。", "=1+1", "'=SUM(A1)", "-", "+86 010", "@某", "＝一", "第一行\n第二行"),
    *('他说:"已答复"', "半角, 全角，和；", "𠮷é “引号”", "'", "''", "#N-A", "1e5", "  内  空  "),
)


def exported(
    at: Settings, path: Path, request: ExportRequest | None = None, **more: Any
) -> ExportTotals:
    """Export to `path` as the office at this node, by default everything."""
    mapping = load_mapping(more.pop("mapping", "register"))
    with connected(at.dsn, "test") as connection:
        return export(
            connection, open_office(at), request or ExportRequest(), mapping, path, **more
        )


def imported(at: Settings, path: Path, mapping: str = "register") -> tuple[Imported, list[str]]:
    """Import `path` as the office at this node; return also why rows were rejected."""
    totals, reasons = Imported(), []
    with (
        read_register(path, load_mapping(mapping)) as found,
        connected(at.dsn, "test") as connection,
    ):
        for chunk in import_rows(connection, open_office(at), found):
            totals.add(chunk.totals)
            reasons += [one.reason for one in chunk.rejected]
    return totals, reasons


def instant(days: float) -> int:
    """Return the instant `days` after 2019-01-07 09:00 in China, in micros."""
    return int((_FIRST + timedelta(days=days)).timestamp() * 1_000_000)


def life(at: Settings, *steps: tuple[str, dict[str, Any]], **registered: Any) -> str:
    """Make a case of Beijing or Shandong that took these steps, one a day."""
    given = {"title": "供暖不足", "channel": "web", "origin_number": "虚构-1", **registered}
    when = {"received_at": instant(0), "occurred_at": instant(0.1)}
    case_id = do(at, "register", **when, **given).case.case_id
    for days, (name, more) in enumerate(steps, 1):
        do(at, name, case_id=case_id, **{"occurred_at": instant(days), **more})
    return case_id


ACCEPT = ("accept", {"unit": "虚构单位"})
DECIDE = ("decide", {"unit": "虚构单位", "outcome": "supported", "opinion": "已解决(虚构)。"})
EXTEND: tuple[str, dict[str, Any]] = (
    "extend",
    {
        "unit": "虚构单位",
        "days": 20,
        "reason": "情况复杂",
        "approver": "单位负责人",
        "opinion_number": "延〔2019〕1号",
        "told_at": instant(2.5),
    },
)
LIVES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "registered": [],
    "accepted": [("accept", {"procedure": "simple"})],
    "extended": [ACCEPT, EXTEND],
    "closed": [
        *(ACCEPT, EXTEND, DECIDE),
        *(("serve", {"method": "post", "recipient": "family"}), ("close", {})),
    ],
    "refused": [
        (
            "not_accept",
            {
                "reasons": "已过期限",
                "article": "第十八条",
                "guidance": "可向法院起诉",
                "opinion_number": "不受〔2019〕1号",
                "told_at": instant(1),
                "unit": "虚构单位",
            },
        )
    ],
    "forwarded": [("forward", {"to": "660000", "unit": "虚构师"})],
    "assigned": [
        (
            "assign",
            {
                "to": "000000",
                "unit": "虚构局",
                "requirement": "查明并报告",
                "report_due_at": instant(9000),
            },
        )
    ],
}
