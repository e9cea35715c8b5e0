"""Importing on a real database: a row becomes a case once, whoever else imports it meanwhile."""

from __future__ import annotations

import csv
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.cli import as_environment, petitionlink, refused
from support.world import count, rows

from node.enquiry_access.query_codes import matches, stored, understood
from node.keys.key_files import KeysUnusable
from node.keys.office import open_office
from node.postgres.connection import connect, connected
from node.runtime.settings import Settings
from node.store.events import bytes_of
from producers.register import Rejected, load_mapping, read_register
from producers.register_import.import_rows import Totals, import_rows
from producers.register_import.query_code_file import CodeFile
from schemas.errors import PetitionLinkError
from schemas.sealing.sealed_record import unseal

SAMPLE = Path(__file__).parents[2] / "deploy" / "demo" / "register.csv"
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
) -> tuple[Totals, list[Rejected]]:
    totals, rejected = Totals(), []
    with (
        read_register(path, load_mapping("messages")) as found,
        connected(settings.dsn, "test") as connection,
    ):
        for chunk in import_rows(connection, open_office(settings), found, codes):
            totals.add(chunk.totals)
            rejected += chunk.rejected
    return totals, rejected


def test_a_message_with_a_reply_was_accepted_when_it_came_and_served_when_it_was_answered(
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
        ("petition.case.accepted.v1", "2019-04-25 09:32:09", "XF2005"),
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


def own_format(folder: Path, header: str, *lines: str) -> Path:
    path = folder / "own.csv"
    start = "登记编号,信访形式,信访日期,标题"
    path.write_text("\n".join([f"{start},{header}", *lines]) + "\n", encoding="utf-8")
    return path


def run_own(settings: Settings, path: Path, codes: CodeFile | None = None) -> list[str]:
    """The reasons why rows of the own format were rejected."""
    with (
        read_register(path, load_mapping("register")) as found,
        connected(settings.dsn, "test") as connection,
    ):
        chunks = [*import_rows(connection, open_office(settings), found, codes)]
    return [one.reason for chunk in chunks for one in chunk.rejected]


def test_a_message_without_a_reply_is_registered_and_no_more(
    shandong: Settings, tmp_path: Path
) -> None:
    path = register_file(tmp_path, ["1,U1,供暖不足,2019/4/25 9:32:09,请解决。,,"])
    totals, _ = run(shandong, path)
    assert (totals.registered, totals.events) == (1, 1)
    assert rows(shandong, "select state, accepted_at from petition_case") == [("registered", None)]


def test_a_dispatched_row_takes_the_petitioner_along(
    shandong: Settings, fresh_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = own_format(
        tmp_path,
        "姓名,转送时间,转送节点,建议办理单位",
        "甲1,网上,2024-01-08,供暖不足,张示例,2024-01-09,北京市,虚构区",
        "甲2,网上,2024-01-08,供暖不足,,2024-01-09,660000,",
    )
    assert run_own(shandong, path) == []
    assert rows(shandong, "select state, handled_by from petition_case order by handled_by") == [
        ("forwarded", "110000"),
        ("forwarded", "660000"),
    ]
    ((case_id, sealed, keys),) = rows(
        shandong,
        "select f.case_id, r.body -> 'petitioner', f.body -> 'petitioner_keys' from case_event f "
        "join case_event r using (case_id) where f.body ->> 'to' = '110000' and r.version = 1",
    )
    beijing = open_office(fresh_settings("110000"))
    extra = [bytes_of(key) for key in keys]
    assert unseal(bytes_of(sealed), case_id, beijing.keys.pair, extra)["name"] == "张示例"


def test_a_row_for_a_node_without_keys_is_rejected_and_the_others_are_not(
    shandong: Settings, tmp_path: Path
) -> None:
    path = own_format(
        tmp_path,
        "姓名,转送时间,转送节点",
        "甲1,网上,2024-01-08,供暖不足,张示例,2024-01-09,河北省",
        "甲2,网上,2024-01-08,供暖不足,张示例,,",
    )
    (reason,) = run_own(shandong, path)
    assert "130000 has no public key" in reason
    assert count(shandong, "petition_case") == 1


def test_keys_of_ones_own_that_are_missing_stop_the_import(
    shandong: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own_format(tmp_path, "姓名", "甲1,网上,2024-01-08,供暖不足,张示例")

    def missing(self: object, node: str) -> None:
        raise KeysUnusable(f"no key of {node}")

    monkeypatch.setattr("node.keys.key_ring.NodeKeys.public", missing)
    with pytest.raises(KeysUnusable):
        run_own(shandong, path)


def test_the_rules_refuse_a_row_whose_later_steps_are_another_nodes(
    shandong: Settings, tmp_path: Path
) -> None:
    path = own_format(
        tmp_path,
        "转送时间,转送节点,落地时间",
        "甲1,网上,2024-01-08,供暖不足,2024-01-09,北京市,2024-01-10",
    )
    (reason,) = run_own(shandong, path)
    assert "110000" in reason
    assert count(shandong, "petition_case") == 0


def test_the_sample_register_is_imported_whole(shandong: Settings) -> None:
    assert run_own(shandong, SAMPLE) == []
    states = "select state, count(*) from petition_case group by state"
    found = dict(rows(shandong, states))
    assert sum(found.values()) == 24
    assert (found["forwarded"], found["not_accepted"]) == (1, 1)
    assert rows(shandong, "select count(*) from case_clock where clock = 'D07'") == [(1,)]


def codes_in(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_query_codes_open_the_cases_of_their_rows_and_stand_only_in_their_file(
    shandong: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "codes.csv"
    two = ("甲1,网上,2024-01-08,供暖,1", "甲2,网上,2024-01-08,停水,2")
    register = own_format(tmp_path, "涉及人数", *two)
    with CodeFile(path, "desk") as codes:
        run_own(shandong, register, codes)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed = codes_in(path)
    assert [one["登记编号"] for one in listed] == ["甲1", "甲2"]
    with connected(shandong.dsn, "test") as connection, connection.cursor() as cursor:
        for one in listed:
            code = understood(one["查询码"])
            assert code
            assert matches(stored(cursor, one["信访件编号"]), code)
            cursor.execute(
                "select count(*) from case_event where body::text like %s", (f"%{code}%",)
            )
            assert cursor.fetchone() == (0,)


def test_the_command_issues_codes_only_when_asked_and_not_into_the_register(
    shandong: Settings, tmp_path: Path
) -> None:
    path, given = tmp_path / "codes.csv", as_environment(shandong)
    register = register_file(tmp_path, lines(1, 3))
    command = ("import", register, "--mapping", "messages", "--format", "json", "--query-codes")
    line = refused(petitionlink(*command, register, settings=given))
    assert line.startswith("--query-codes")
    assert line.endswith("name another file")
    done = petitionlink(*command, path, settings=given)
    assert done.json()["registered"] == 2
    listed = codes_in(path)
    assert len(listed) == 2
    assert not any(one["查询码"] in done.out + done.err for one in listed)


def test_codes_of_a_transaction_that_failed_are_taken_back_and_later_ones_appended(
    shandong: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "codes.csv"
    with CodeFile(path, "desk") as codes:
        run(shandong, register_file(tmp_path, lines(1, 2)), codes)
        issue = codes.issue

        def fail(cursor: Any, cases: Any) -> None:
            issue(cursor, cases)
            raise PetitionLinkError("the database went away")

        monkeypatch.setattr(codes, "issue", fail)
        with pytest.raises(PetitionLinkError):
            run(shandong, register_file(tmp_path, lines(2, 3)), codes)
    assert [one["登记编号"] for one in codes_in(path)] == ["1"]
    with CodeFile(path, "desk") as codes:
        run(shandong, register_file(tmp_path, lines(2, 4)), codes)
    assert [one["登记编号"] for one in codes_in(path)] == ["1", "2", "3"]
    assert count(shandong, "query_code") == 3


def test_without_a_new_case_there_is_no_code_file_and_others_must_not_read_one(
    shandong: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "codes.csv"
    with CodeFile(path, "desk") as codes:
        run(shandong, register_file(tmp_path, []), codes)
    assert not path.exists()
    path.write_text("", encoding="utf-8")
    path.chmod(0o644)
    with pytest.raises(PetitionLinkError, match="open to other users"):
        CodeFile(path, "desk")


def test_a_row_that_postgres_refuses_is_rejected_alone(shandong: Settings, tmp_path: Path) -> None:
    """SQLSTATE 54000: larger than a page of an index may hold. Seen failing with whole chunks
    only: the import ended at this row, each time."""
    draw = Random(54000)
    reply = "".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(9_000))
    three = lines(1, 4)
    three[1] = three[1].replace("已解决。", reply)
    rows(shandong, "create index too_small on case_event ((body ->> 'opinion'))")
    totals, rejected = run(shandong, register_file(tmp_path, three))
    assert (totals.read, totals.registered, totals.rejected) == (3, 2, 1)
    assert [row.row for row in rejected] == [2]
    assert "54000" in rejected[0].reason


def test_a_chunk_that_takes_longer_than_statement_timeout_is_written_in_parts(
    shandong: Settings, tmp_path: Path
) -> None:
    """Seen failing with whole chunks only. A command of the shipped program has no such limit."""
    rows(shandong, _SLOW)
    totals = Totals()
    with (
        read_register(register_file(tmp_path, lines(1, 21)), load_mapping("messages")) as found,
        closing(connect(shandong.dsn, "test")) as connection,
    ):
        with connection, connection.cursor() as cursor:
            cursor.execute("set statement_timeout = '300ms'")
        for chunk in import_rows(connection, open_office(shandong), found):
            totals.add(chunk.totals)
    assert (totals.read, totals.registered) == (20, 20)
    assert count(shandong, "petition_case") == 20


_SLOW = """
    create function slow() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.02); return new; end $$;
    create trigger slow before insert on case_event for each row execute function slow()
"""
