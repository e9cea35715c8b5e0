"""Importing on a real database: a row becomes a case once, whoever else imports it meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.world import count, rows

from node.postgres import connected
from node.settings import Settings
from producers.importing import Totals, import_rows
from producers.office import open_office
from producers.register import Rejected, load_mapping, read_register

HEADER = "留言编号,留言用户,留言主题,留言时间,留言详情,答复意见,答复时间\n"


@pytest.fixture
def shandong(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with an empty database."""
    return fresh_settings("370000")


def register_file(folder: Path, lines: Sequence[str]) -> Path:
    path = folder / "register.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def lines(first: int, last: int) -> list[str]:
    return [
        f"{n},U{n},供暖不足{n},2019/4/25 9:32:09,请解决。,已解决。,2019/5/10 10:00:00"
        for n in range(first, last)
    ]


def run(settings: Settings, path: Path) -> tuple[Totals, list[Rejected]]:
    totals, rejected = Totals(), []
    with (
        read_register(path, load_mapping("messages")) as found,
        connected(settings.dsn, "test") as connection,
    ):
        for chunk in import_rows(connection, open_office(settings), found):
            totals.add(chunk.totals)
            rejected += chunk.rejected
    return totals, rejected


def test_a_reply_becomes_accepted_decided_and_served_at_its_own_time(
    shandong: Settings, tmp_path: Path
) -> None:
    totals, _ = run(shandong, register_file(tmp_path, lines(1, 2)))
    assert totals == Totals(read=1, registered=1, events=4)
    assert rows(
        shandong,
        "select event_type, (occurred_at at time zone 'Asia/Shanghai')::text, rule_set "
        "from case_event order by version",
    ) == [
        ("petition.case.registered.v1", "2019-04-25 09:32:09", "XF2005"),
        ("petition.case.accepted.v1", "2019-05-10 10:00:00", "XF2005"),
        ("petition.case.decided.v1", "2019-05-10 10:00:00", "XF2005"),
        ("petition.case.served.v1", "2019-05-10 10:00:00", "XF2005"),
    ]
    assert rows(shandong, "select state, conflicts, incomplete from petition_case") == [
        ("served", 0, False)
    ]
    assert count(shandong, "outbox") == 4


def test_a_second_run_adds_nothing_and_new_rows_are_added(
    shandong: Settings, tmp_path: Path
) -> None:
    run(shandong, register_file(tmp_path, lines(1, 5)))
    again, _ = run(shandong, register_file(tmp_path, lines(1, 8)))
    assert again == Totals(read=7, registered=3, duplicates=4, events=12)
    assert count(shandong, "petition_case") == 7


def test_a_known_number_with_other_content_is_rejected_and_says_which_case(
    shandong: Settings, tmp_path: Path
) -> None:
    run(shandong, register_file(tmp_path, lines(1, 3)))
    changed = [lines(1, 2)[0].replace("请解决", "请尽快解决"), *lines(2, 3)]
    totals, rejected = run(shandong, register_file(tmp_path, changed))
    assert totals == Totals(read=2, duplicates=1, rejected=1)
    (case_id,) = rows(shandong, "select case_id from imported_row where origin_number = '1'")[0]
    assert f"number 1 is already registered as case {case_id} with other content" in (
        rejected[0].reason
    )
    assert rejected[0].cells["留言编号"] == "1"


def test_one_number_twice_in_a_file_is_registered_once(shandong: Settings, tmp_path: Path) -> None:
    other = lines(1, 2)[0].replace("已解决", "正在解决")
    totals, rejected = run(shandong, register_file(tmp_path, [*lines(1, 2), *lines(1, 2), other]))
    assert totals == Totals(read=3, registered=1, duplicates=1, rejected=1, events=4)
    assert len(rejected) == 1


def test_two_imports_of_one_file_at_once_register_each_row_once(
    shandong: Settings, tmp_path: Path
) -> None:
    path = register_file(tmp_path, lines(1, 1200))
    done: list[Totals] = []
    imports = [
        threading.Thread(target=lambda: done.append(run(shandong, path)[0])) for _ in range(3)
    ]
    for one in imports:
        one.start()
    for one in imports:
        one.join()
    assert [one.read for one in done] == [1199] * 3
    assert sum(one.registered for one in done) == 1199
    assert sum(one.duplicates for one in done) == 2 * 1199
    assert count(shandong, "case_event") == count(shandong, "outbox") == 4 * 1199


def test_a_row_that_the_rules_refuse_is_rejected_with_its_cells(
    shandong: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        "登记编号,信访形式,信访日期,标题,是否保密\n甲1,网上,2024-01-08,供暖不足,是\n"
        "甲2,网上,2024-01-08,供暖不足,否\n",
        encoding="utf-8",
    )
    with (
        read_register(path, load_mapping("register")) as found,
        connected(shandong.dsn, "test") as connection,
    ):
        (chunk,) = import_rows(connection, open_office(shandong), found)
    assert chunk.totals == Totals(read=2, registered=1, rejected=1, events=1)
    assert "never travel here" in chunk.rejected[0].reason
    assert chunk.rejected[0].cells["登记编号"] == "甲1"
