"""Registers as CSV, JSON lines and workbooks in tests."""

import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from producers.register import (
    RegisterError,
    Registration,
    Rejected,
    load_mapping,
    read_register,
)

MAPPING = load_mapping("register")
PROJECT = Path(__file__).parents[2]
HEADER = ["登记编号", "信访形式", "信访日期", "标题", "信访内容", "涉及人数", "证件号码"]
ROWS = [
    ["1", "来信", "2024-05-06 09:32:09", "虚构一", '第一行\n"第二行"', "3", "000000190001010001"],
    ["2", "网上", "2024-05-07", "虚构二；甲,乙", "", "", ""],
]


def as_csv(delimiter: str = ",", line_end: str = "\r\n") -> str:
    def quote(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    lines = [delimiter.join(map(quote, row)) for row in [HEADER, *ROWS]]
    return line_end.join(lines) + line_end


def as_jsonl() -> str:
    rows = (dict(zip(HEADER, row, strict=True)) for row in ROWS)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def save_xlsx(path: Path, rows: list[list[Any]], *more_sheets: list[list[Any]]) -> Path:
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for other in more_sheets:
        sheet = workbook.create_sheet()
        for row in other:
            sheet.append(row)
    workbook.save(path)
    return path


def read(path: Path) -> list[Registration | Rejected]:
    return list(read_register(path, MAPPING))


def read_bytes(folder: Path, content: bytes, name: str = "r.csv") -> list[Registration | Rejected]:
    path = folder / name
    path.write_bytes(content)
    return read(path)


def refusal(path: Path) -> str:
    with pytest.raises(RegisterError) as caught:
        read_register(path, MAPPING)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def content(rows: list[Registration | Rejected]) -> list[Any]:
    """Return a registration without its place and without how its cells were written."""
    registrations = [row for row in rows if isinstance(row, Registration)]
    assert len(registrations) == len(rows), rows
    return [
        (r.row, r.registered, r.registered_at, r.petitioner, r.handling, r.content_digest)
        for r in registrations
    ]
