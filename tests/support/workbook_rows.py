"""One row of a workbook, read in tests."""

from pathlib import Path

import pytest
from support.workbooks import Value

from producers.register import (
    RegisterError,
    Registration,
    Rejected,
    load_mapping,
    read_register,
)

MAPPING = load_mapping("register")
ROW: tuple[Value, ...] = ("虚构-1", "来信", "2024-05-06", "虚构标题", "张示例", None, "内容", None)


def with_cell(place: int, cell: Value, row: tuple[Value, ...] = ROW) -> list[Value]:
    return [*row[:place], cell, *row[place + 1 :]]


def read(path: Path) -> list[Registration | Rejected]:
    return list(read_register(path, MAPPING))


def registered(path: Path) -> Registration:
    (row,) = read(path)
    assert isinstance(row, Registration), row
    return row


def rejected(path: Path) -> str:
    (row,) = read(path)
    assert isinstance(row, Rejected), row
    return row.reason


def refusal(path: Path) -> str:
    with pytest.raises(RegisterError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)
