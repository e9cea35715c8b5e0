"""A register in the product's own format brings petitioners, dispatches and replies."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.importing import own_format, run_own
from support.world import count, rows

from node.keys.key_files import KeysUnusable
from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.settings import Settings
from node.store.events import bytes_of
from producers.register import load_mapping, read_register
from producers.register_import.import_rows import ImportTotals, import_rows
from schemas.sealing.sealed_record import unseal

SAMPLE = Path(__file__).parents[2] / "deploy" / "demo" / "register.csv"


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
    assert chunk.totals == ImportTotals(read=2, registered=1, rejected=1, events=1)
    assert "never travel here" in chunk.rejected[0].reason
    assert chunk.rejected[0].cells["登记编号"] == "甲1"


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
