"""One row of a register, read in tests."""

import csv
from datetime import datetime, timedelta, timezone
from pathlib import Path

from producers.register import Mapping, Registration, Rejected, load_mapping, read_register

MAPPING = load_mapping("register")


def micros(year: int, month: int, day: int, hour: int = 0) -> int:
    china = timezone(timedelta(hours=8))
    return round(datetime(year, month, day, hour, tzinfo=china).timestamp()) * 1_000_000


def clock() -> int:
    return micros(2024, 6, 1)


def read_one(
    folder: Path, row: dict[str, str], mapping: Mapping = MAPPING
) -> Registration | Rejected:
    path = folder / "register.csv"
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        csv.writer(file).writerows([row.keys(), row.values()])
    (read,) = read_register(path, mapping, clock=clock)
    return read


def registration(folder: Path, row: dict[str, str], mapping: Mapping = MAPPING) -> Registration:
    read = read_one(folder, row, mapping)
    assert isinstance(read, Registration), read
    return read


def reason(folder: Path, row: dict[str, str], mapping: Mapping = MAPPING) -> str:
    read = read_one(folder, row, mapping)
    assert isinstance(read, Rejected), read
    assert "\n" not in read.reason
    return read.reason
