"""An import issues a query code for each new case, into a file of its own only."""

import csv
import stat
from pathlib import Path
from typing import Any

import pytest
from support.cli import as_environment, petitionlink, refused
from support.importing import lines, own_format, register_file, run, run_own
from support.world import count

from node.enquiry_access.query_codes import matches, stored, understood
from node.postgres.connection import connected
from node.runtime.settings import Settings
from producers.register_import.query_code_file import CodeFile
from schemas.errors import PetitionLinkError


def codes_in(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_query_codes_open_the_cases_of_their_rows_and_are_only_in_their_file(
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
