"""The sample register that ships, and the real messages where they are at hand."""

import csv
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from support.real_data import REAL_DATA, needs_real_data

from producers.register import Registration, Rejected, load_mapping, read_register
from schemas.catalogue import catalogue
from schemas.validation.forms import fill

PROJECT = Path(__file__).parents[2]
SAMPLE = PROJECT / "deploy" / "demo" / "register.csv"


def read(path: Path, mapping: str) -> tuple[list[Registration], list[Rejected]]:
    rows = list(read_register(path, load_mapping(mapping)))
    good = [row for row in rows if isinstance(row, Registration)]
    return good, [row for row in rows if isinstance(row, Rejected)]


def test_the_sample_register_reads_without_a_rejected_row() -> None:
    good, bad = read(SAMPLE, "register")
    assert (len(good), bad) == (24, [])
    assert {row.registered["channel"] for row in good} >= {"letter", "visit", "web", "phone"}
    assert set(Counter(len(row.handling) for row in good)) == {0, 1, 3, 4, 5}


def test_the_sample_register_is_plainly_invented() -> None:
    good, _ = read(SAMPLE, "register")
    for row in good:
        assert row.registered["text"].startswith("【虚构】")
        assert "虚构" in row.registered["registering_body"]
        assert row.petitioner is None or "示例" in row.petitioner["name"]
        assert all(
            fields["opinion"].startswith("【虚构】")
            for name, _, fields in row.handling
            if name == "decide"
        )


def test_the_sample_shows_every_column_and_a_whole_life() -> None:
    mapping = load_mapping("register")
    with SAMPLE.open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.reader(file)) == [*mapping.columns]
    good, _ = read(SAMPLE, "register")
    told = {name for row in good for name, _, _ in row.handling}
    assert told >= {"forward", "accept", "not_accept", "extend", "decide", "serve", "close"}


def test_the_schemas_take_every_row_of_the_sample() -> None:
    good, _ = read(SAMPLE, "register")
    schema = catalogue().by_type["petition.case.registered.v1"]
    for row in good:
        fill(schema, row.registered)


def test_memory_does_not_grow_with_the_register(tmp_path: Path) -> None:
    """Ten times the rows take no more memory."""

    def peak(rows: int) -> int:
        path = tmp_path / "r.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("登记编号,信访形式,信访日期,标题\n")
            file.writelines(f"{n},来信,2024-05-06,虚构\n" for n in range(rows))
        tracemalloc.start()
        assert sum(1 for _ in read_register(path, load_mapping("register"))) == rows
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # what is loaded once
    assert peak(20_000) < peak(2_000) + 500_000


@needs_real_data
def test_all_real_messages_with_replies_are_read() -> None:
    good, bad = read(REAL_DATA / "messages_with_replies.csv", "messages")
    assert (len(good), bad) == (1400, [])
    for row in good:
        assert [name for name, _, _ in row.handling] == ["accept", "decide", "serve"]
        assert all(at >= row.received_at for _, at, _ in row.handling)
        assert "_x000D_" not in row.registered["text"]


@needs_real_data
def test_of_the_real_messages_only_the_four_too_long_ones_are_rejected() -> None:
    good, bad = read(REAL_DATA / "messages.csv", "messages")
    assert (len(good), len(bad)) == (1996, 4)
    lengths = [4141, 4224, 4859, 6999]
    for row in bad:
        assert "at most 4000 fit" in row.reason
        assert any(f"has {length} characters" in row.reason for length in lengths)


@needs_real_data
@pytest.mark.parametrize("name", ["messages.csv", "messages_with_replies.csv"])
def test_the_real_messages_in_gb18030_are_the_same(tmp_path: Path, name: str) -> None:
    copy = tmp_path / name
    copy.write_bytes((REAL_DATA / name).read_bytes().decode("utf-8-sig").encode("gb18030"))
    assert read(copy, "messages") == read(REAL_DATA / name, "messages")
