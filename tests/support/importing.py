"""Registers in tests, of published messages and in the product's own format, and their import."""

from collections.abc import Sequence
from pathlib import Path

from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.settings import Settings
from producers.register import Rejected, load_mapping, read_register
from producers.register_import.import_rows import ImportTotals, import_rows
from producers.register_import.query_code_file import CodeFile

HEADER = "留言编号,留言用户,留言主题,留言时间,留言详情,答复意见,答复时间\n"


def register_file(folder: Path, lines: Sequence[str]) -> Path:
    path = folder / "register.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def lines(first: int, last: int) -> list[str]:
    return [
        f"{n},U{n},供暖不足{n},2019/4/25 9:32:09,请解决。,已解决。,2019/5/10 10:00:00"
        for n in range(first, last)
    ]


def run(
    settings: Settings, path: Path, codes: CodeFile | None = None
) -> tuple[ImportTotals, list[Rejected]]:
    totals, rejected = ImportTotals(), []
    with (
        read_register(path, load_mapping("messages")) as found,
        connected(settings.dsn, "test") as connection,
    ):
        for chunk in import_rows(connection, open_office(settings), found, codes):
            totals.add(chunk.totals)
            rejected += chunk.rejected
    return totals, rejected


def own_format(folder: Path, header: str, *lines: str) -> Path:
    path = folder / "own.csv"
    start = "登记编号,信访形式,信访日期,标题"
    path.write_text("\n".join([f"{start},{header}", *lines]) + "\n", encoding="utf-8")
    return path


def run_own(settings: Settings, path: Path, codes: CodeFile | None = None) -> list[str]:
    """Return the reasons why rows of the own format were rejected."""
    with (
        read_register(path, load_mapping("register")) as found,
        connected(settings.dsn, "test") as connection,
    ):
        chunks = [*import_rows(connection, open_office(settings), found, codes)]
    return [one.reason for chunk in chunks for one in chunk.rejected]
