"""Invented registers 虚构登记簿 in the product's own format, for the import."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.texts import Texts

# As long as letters are in real registers: most a few hundred characters.
_TEXT_CHARACTERS = 300
_OPINION_CHARACTERS = 400

_FIRST_DAY = datetime(2025, 3, 3, 9, 0)
_COLUMNS = (
    "登记编号", "信访形式", "信访目的", "信访日期", "问题属地", "内容分类一级", "标题", "信访内容",
    "涉及人数", "信访类别", "姓名", "证件号码", "电话", "住址",
)  # fmt: skip
_REPLY_COLUMNS = (
    "受理时间",
    "责任单位",
    "处理结果",
    "答复意见",
    "答复时间",
    "送达时间",
    "送达方式",
)


def write_register(path: Path, rows: int, *, reply: bool, seed: int) -> Path:
    """Write a CSV of `rows` rows; with a reply each row gives four events, else one."""
    texts = Texts(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS + (_REPLY_COLUMNS if reply else ()))
        for number in range(rows):
            writer.writerow(_row(texts, number) + (_reply(texts, number) if reply else []))
    return path


def _row(texts: Texts, number: int) -> list[str]:
    return [
        *(f"BENCH-{number:07d}", "网上", "申诉", _day(number, 0), "370100", "城乡建设"),
        *(texts.prose(20), texts.prose(_TEXT_CHARACTERS), "1", "申诉求决"),
        *("张虚构", f"BENCH{texts.digits(13)}", f"000{texts.digits(8)}", texts.prose(24)),
    ]


def _reply(texts: Texts, number: int) -> list[str]:
    return [
        *(_day(number, 5), "虚构市住建局", "支持", texts.prose(_OPINION_CHARACTERS)),
        *(_day(number, 40), _day(number, 42), "网上"),
    ]


def _day(number: int, later_days: int) -> str:
    return f"{_FIRST_DAY + timedelta(minutes=number, days=later_days):%Y-%m-%d %H:%M:%S}"
