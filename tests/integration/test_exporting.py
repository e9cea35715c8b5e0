"""Export: what one office wrote comes back at another; nothing is said that is not so."""

from __future__ import annotations

import csv
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as examples
from openpyxl import load_workbook
from support.cli import as_environment, petitionlink, refused
from support.real_data import MESSAGES_WITH_REPLIES, needs_real_data
from support.world import count, do, register, rows

from cases.case import State
from node.cli.exporting import _selection
from node.postgres import connected
from node.queries.export import Selection
from node.settings import Settings
from producers.drafting import Command, draft
from producers.exporting import Totals, Wish, export
from producers.importing import Totals as Imported
from producers.importing import import_rows
from producers.office import open_office
from producers.preparing import draft_row
from producers.recording import record
from producers.register import Registration, Rejected, load_mapping, read_register
from producers.register.errors import RegisterError
from producers.telling import _STATES
from schemas.catalogue import catalogue
from schemas.errors import PetitionLinkError
from schemas.forms import fill

BEIJING, SHANDONG = "110000", "370000"
# A case without what only the node that has it knows: ids, keys, seals.
_TOLD = """
    select e.event_type, (extract(epoch from e.occurred_at) * 1000000)::bigint,
           e.body - array['petitioner', 'identity_digest', 'petitioner_keys', 'clocks']
    from case_event e join petition_case c using (case_id)
    order by c.registered_at, c.fold -> 'registration' ->> 'origin_number', e.version
"""
_FIRST = datetime(2019, 1, 7, 1, tzinfo=UTC)
_SENTENCES = (
    *("供暖不足,请解决。", "=1+1", "'=SUM(A1)", "-", "+86 010", "@某", "＝一", "第一行\n第二行"),
    *('他说:"已答复"', "半角, 全角，和；", "𠮷é “引号”", "'", "''", "#N-A", "1e5", "  内  空  "),
)


@pytest.fixture
def beijing(fresh_settings: Callable[..., Settings]) -> Settings:
    """Beijing with an empty database."""
    return fresh_settings(BEIJING)


@pytest.fixture
def shandong(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with an empty database."""
    return fresh_settings(SHANDONG)


def exported(at: Settings, path: Path, wish: Wish | None = None, **more: Any) -> Totals:
    mapping = load_mapping(more.pop("mapping", "register"))
    with connected(at.dsn, "test") as connection:
        return export(connection, open_office(at), wish or Wish(), mapping, path, **more)


def imported(at: Settings, path: Path, mapping: str = "register") -> tuple[Imported, list[str]]:
    totals, reasons = Imported(), []
    with (
        read_register(path, load_mapping(mapping)) as found,
        connected(at.dsn, "test") as connection,
    ):
        for chunk in import_rows(connection, open_office(at), found):
            totals.add(chunk.totals)
            reasons += [one.reason for one in chunk.rejected]
    return totals, reasons


def instant(days: float) -> int:
    return int((_FIRST + timedelta(days=days)).timestamp() * 1_000_000)


def life(at: Settings, *steps: tuple[str, dict[str, Any]], **registered: Any) -> str:
    """A case of Beijing or Shandong that took these steps, each a day behind the one before."""
    given = {"title": "供暖不足", "channel": "web", "origin_number": "虚构-1", **registered}
    when = {"received_at": instant(0), "occurred_at": instant(0.1)}
    case_id = do(at, "register", **when, **given).case.case_id
    for days, (name, more) in enumerate(steps, 1):
        do(at, name, case_id=case_id, **{"occurred_at": instant(days), **more})
    return case_id


ACCEPT = ("accept", {"unit": "虚构单位"})
DECIDE = ("decide", {"unit": "虚构单位", "outcome": "supported", "opinion": "已解决(虚构)。"})
EXTEND: tuple[str, dict[str, Any]] = (
    "extend",
    {
        "unit": "虚构单位",
        "days": 20,
        "reason": "情况复杂",
        "approver": "单位负责人",
        "opinion_number": "延〔2019〕1号",
        "told_at": instant(2.5),
    },
)
LIVES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "registered": [],
    "accepted": [("accept", {"procedure": "simple"})],
    "extended": [ACCEPT, EXTEND],
    "closed": [
        *(ACCEPT, EXTEND, DECIDE),
        *(("serve", {"method": "post", "recipient": "family"}), ("close", {})),
    ],
    "refused": [
        (
            "not_accept",
            {
                "reasons": "已过期限",
                "article": "第十八条",
                "guidance": "可向法院起诉",
                "opinion_number": "不受〔2019〕1号",
                "told_at": instant(1),
                "unit": "虚构单位",
            },
        )
    ],
    "forwarded": [("forward", {"to": "660000", "unit": "虚构师"})],
    "assigned": [
        (
            "assign",
            {
                "to": "000000",
                "unit": "虚构局",
                "requirement": "查明并报告",
                "report_due_at": instant(9000),
            },
        )
    ],
}


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_what_one_office_wrote_comes_back_at_another(
    beijing: Settings, shandong: Settings, tmp_path: Path, suffix: str
) -> None:
    for number, steps in enumerate(LIVES.values()):
        life(beijing, *steps, origin_number=f"虚构-{number}", text=_SENTENCES[number])
    path = tmp_path / f"register{suffix}"
    made = exported(beijing, path)
    assert made == Totals(exported=len(LIVES), whole=len(LIVES))
    totals, reasons = imported(shandong, path)
    assert (totals.registered, reasons) == (len(LIVES), [])
    assert rows(shandong, _TOLD) == rows(beijing, _TOLD)
    assert totals.events == count(beijing, "case_event")


def _texts(longest: int) -> strategies.SearchStrategy[str]:
    signs = strategies.characters(exclude_categories=("Cs",), exclude_characters="\0")
    drawn = strategies.text(signs, max_size=longest)
    return strategies.sampled_from(_SENTENCES) | drawn


_ROWS = strategies.fixed_dictionaries(
    {"title": _texts(200).filter(str.strip), "channel": strategies.sampled_from(["web", "letter"])},
    optional={
        "text": _texts(300),
        "purpose": _texts(50),
        "persons": strategies.integers(1, 1_000_000),
        "joint_signed": strategies.booleans(),
        "urgent": strategies.booleans(),
        "public": strategies.booleans(),
        "petition_class": strategies.sampled_from(["", "suggestion", "claim"]),
        "claim_path": strategies.sampled_from(["", "1", "6"]),
        "accused": strategies.lists(_texts(20), max_size=3),
        "area": strategies.sampled_from(["", "370102", "370102001001"]),
        "registering_body": _texts(100),
    },
)


@examples(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cases=strategies.lists(
        strategies.tuples(_ROWS, strategies.sampled_from([*LIVES]), strategies.integers(0, 10**6)),
        min_size=1,
        max_size=8,
    ),
    suffix=strategies.sampled_from([".csv", ".xlsx"]),
)
def test_rows_that_are_said_to_be_whole_are(
    beijing: Settings,
    shandong: Settings,
    tmp_path: Path,
    cases: list[tuple[dict[str, Any], str, int]],
    suffix: str,
) -> None:
    """Whatever the texts are: an import refuses a row, or the row was counted as partial, or the
    import makes the very same case of it."""
    for one in (beijing, shandong):
        rows(one, "truncate case_event, petition_case, imported_row, outbox, case_clock")
    written = _written(beijing, cases)
    path = tmp_path / f"drawn{suffix}"
    made = exported(beijing, path, force=True)
    assert made.exported == made.whole + made.partial == len(cases)
    imported(shandong, path)
    same = [case for case in _by_number(shandong) if case in written]
    assert len(same) == made.whole


def _written(at: Settings, cases: list[tuple[dict[str, Any], str, int]]) -> list[Any]:
    """Cases as registers would have made them, but with texts that no register cleaned."""
    office = open_office(at)
    with connected(at.dsn, "test") as connection, connection, connection.cursor() as cursor:
        for number, (registered, kind, micros) in enumerate(cases):
            body = {**registered, "origin_number": f"虚构-{number}", "received_at": instant(0)}
            fill(catalogue().by_type["petition.case.registered.v1"], body)
            steps = [
                (name, instant(day) + micros, {**more})
                for day, (name, more) in enumerate(LIVES[kind], 1)
            ]
            at_ = instant(0.1) + micros
            row = Registration(
                1, 1, "test", f"虚构-{number}", body, instant(0), at_, None, steps, "", {}
            )
            record(cursor, office.node, draft_row(office, row).events)
    return _by_number(at)


def _by_number(at: Settings) -> list[Any]:
    """The history of each case as one value."""
    found: dict[str, list[Any]] = {}
    current = ""
    for event_type, micros, body in rows(at, _TOLD):
        current = body.get("origin_number", current)
        found.setdefault(current, []).append((event_type, micros, body))
    return [*found.values()]


def test_petitioners_are_opened_only_when_asked_for_and_that_is_audited(
    beijing: Settings, shandong: Settings, tmp_path: Path
) -> None:
    petitioner = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}
    life(beijing, petitioner=petitioner)
    life(beijing, origin_number="虚构-2", anonymous=True)
    plain, full = tmp_path / "plain.csv", tmp_path / "full.csv"
    assert exported(beijing, plain) == Totals(exported=2, whole=2)
    assert "张示例" not in plain.read_text(encoding="utf-8")
    assert exported(beijing, full, Wish(petitioners=True)) == Totals(2, 2, 0, 1, 0)
    assert "张示例" in full.read_text(encoding="utf-8")
    audited = rows(beijing, "select actor, action, detail from audit_log order by id")
    assert [action for _, action, _ in audited] == ["export", "export.begun", "export"]
    assert audited[2][2]["with_petitioner"] is True
    assert (audited[2][2]["exported"], audited[2][2]["petitioners"]) == (2, 1)
    assert "张示例" not in str(audited)
    imported(shandong, full)
    digest = "select identity_digest from petition_case order by 1"
    assert rows(shandong, digest) == rows(beijing, digest)


def test_a_petitioner_that_is_not_sealed_for_this_node_stays_sealed_and_is_counted(
    beijing: Settings, tmp_path: Path
) -> None:
    life(beijing, petitioner={"name": "张示例"})
    rows(
        beijing,
        "update case_event set body = jsonb_set(body, '{petitioner,keys}', "
        "(select jsonb_agg(one) from jsonb_array_elements(body #> '{petitioner,keys}') one "
        "where one ->> 'node' <> '110000'))",
    )
    made = exported(beijing, tmp_path / "r.csv", Wish(petitioners=True))
    assert (made.exported, made.petitioners, made.unreadable) == (1, 0, 1)


def test_what_another_office_did_is_told_but_not_imported_as_ones_own(
    beijing: Settings, shandong: Settings, tmp_path: Path
) -> None:
    life(beijing, origin_number="虚构-2")
    case_id = life(beijing)
    moved = do(beijing, "forward", case_id=case_id, to=SHANDONG, occurred_at=instant(1))
    land = Command("land", case_id, instant(2), "desk", {})
    landed = draft(open_office(shandong), moved.case, land, lambda: None)
    with connected(beijing.dsn, "test") as connection, connection, connection.cursor() as cursor:
        record(cursor, BEIJING, [landed])
    path = tmp_path / "r.csv"
    assert exported(beijing, path) == Totals(exported=2, whole=1, partial=1)
    totals, (reason,) = imported(shandong, path)
    assert totals.registered == 1
    assert "case" in reason
    with path.open(encoding="utf-8-sig", newline="") as file:
        told = {row["登记编号"]: row for row in csv.DictReader(file)}["虚构-1"]
    assert (told["转送节点"], told["现状态"], told["现承办节点"]) == ("山东省", "已落地", "山东省")
    assert told["落地时间"].startswith("2019-01-09")


def test_a_case_that_a_row_cannot_tell_is_partial(beijing: Settings, tmp_path: Path) -> None:
    life(beijing, ACCEPT, ("progress", {"progress": "正在核查"}))
    life(beijing, origin_number="虚构-2", title="未整理  ", text="a\r\nb")
    life(beijing, origin_number="虚构-3")
    case_id = life(beijing, origin_number="虚构-4")
    corrections = [{"field": "area", "value": "110105"}]
    do(beijing, "correct", case_id=case_id, corrections=corrections, reason="写错")
    assert exported(beijing, tmp_path / "r.csv") == Totals(exported=4, whole=1, partial=3)
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        areas = {row["登记编号"][-1]: row["问题属地"] for row in csv.DictReader(file)}
    assert areas == {"1": "", "2": "", "3": "", "4": "110105"}


def test_an_event_without_effect_is_not_told(beijing: Settings, tmp_path: Path) -> None:
    life(beijing, ACCEPT)
    rows(
        beijing,
        "update petition_case set fold = jsonb_set(fold, '{conflicts}', (select jsonb_build_array("
        "jsonb_build_array(event_id, 'x')) from case_event where version = 2))",
    )
    exported(beijing, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["受理时间"] == ""


def test_a_case_without_a_number_goes_by_its_id_and_does_not_come_back_where_it_is(
    beijing: Settings, shandong: Settings, tmp_path: Path
) -> None:
    case_id = register(beijing)
    path = tmp_path / "r.csv"
    exported(beijing, path)
    totals, (reason,) = imported(beijing, path)
    assert (totals.registered, count(beijing, "petition_case")) == (0, 1)
    assert f"exported from case {case_id}" in reason
    totals, _ = imported(shandong, path)
    assert totals.registered == 1
    assert rows(
        shandong, "select fold -> 'registration' ->> 'origin_number' from petition_case"
    ) == [(case_id,)]


def test_cases_are_chosen_by_day_state_and_node(beijing: Settings, tmp_path: Path) -> None:
    life(beijing, ACCEPT, origin_number="虚构-1")
    midnight = datetime(2019, 1, 8, 16, tzinfo=UTC)  # 2019-01-09 00:00 in China
    for number, moment in (("虚构-2", midnight - timedelta(seconds=1)), ("虚构-3", midnight)):
        micros = int(moment.timestamp() * 1_000_000)
        register(beijing, origin_number=number, received_at=micros, occurred_at=micros)

    def numbers(**chosen: Any) -> list[str]:
        path = tmp_path / "r.csv"
        exported(beijing, path, Wish(Selection(**chosen)), force=True)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row["登记编号"] for row in csv.DictReader(file)]

    assert numbers() == ["虚构-1", "虚构-2", "虚构-3"]
    assert numbers(first=date(2019, 1, 8), last=date(2019, 1, 8)) == ["虚构-2"]
    assert numbers(first=date(2019, 1, 9)) == ["虚构-3"]
    assert numbers(last=date(2019, 1, 7)) == ["虚构-1"]
    assert numbers(states=("accepted",)) == ["虚构-1"]
    assert numbers(registered_by=(SHANDONG,)) == []
    assert numbers(handled_by=(BEIJING,), states=("registered",)) == ["虚构-2", "虚构-3"]


def test_the_file_is_the_owners_whole_or_not_there_and_never_replaced_unasked(
    beijing: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life(beijing)
    path = tmp_path / "r.csv"
    exported(beijing, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(RegisterError, match=r"r\.csv: is there already: .* --force"):
        exported(beijing, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("producers.exporting.told", lambda case: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            exported(beijing, path, force=True)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["r.csv"]
    for name, problem in (("r.txt", "end it in .csv or .xlsx"), ("no/r.csv", "cannot be written")):
        with pytest.raises(RegisterError, match=problem):
            exported(beijing, tmp_path / name)


def test_nothing_that_a_citizen_wrote_becomes_a_formula(beijing: Settings, tmp_path: Path) -> None:
    for number, text in enumerate(_SENTENCES):
        life(beijing, origin_number=f"虚构-{number}", text=text, title=f"={number}")
    exported(beijing, tmp_path / "r.csv")
    exported(beijing, tmp_path / "r.xlsx")
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        assert not any(
            cell[:1] in set("=+-@＝\t") for row in csv.reader(file) for cell in row if cell
        )
    sheet = load_workbook(tmp_path / "r.xlsx").worksheets[0]
    assert {cell.data_type for line in sheet.iter_rows() for cell in line} <= {
        "s",
        "n",
        "inlineStr",
    }
    assert sheet.freeze_panes == "A2"


def test_every_state_has_a_name_for_people() -> None:
    states = {value for name, value in vars(State).items() if name.isupper()}
    assert set(_STATES) == states - {State.UNKNOWN}


def test_the_commands_print_counts_and_refuse_with_one_line(
    beijing: Settings, tmp_path: Path
) -> None:
    life(beijing, ACCEPT)
    life(beijing, origin_number="虚构-2", text=" x")
    path, given = tmp_path / "r.xlsx", as_environment(beijing)
    chosen = ("--from", "2019-01-01", "--state", "accepted", "--state", "registered")
    done = petitionlink("export", path, *chosen, "--format", "json", settings=given)
    counts = {"exported": 2, "whole": 1, "partial": 1, "petitioners": 0, "unreadable": 0}
    assert done.json() == counts
    assert "only a part of their case: 1" in done.err
    assert "is there already" in refused(petitionlink("export", path, settings=given))
    template = petitionlink("template", tmp_path / "t.csv", "--format", "json")
    assert template.json()["columns"] == len(load_mapping("register").columns)


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"first": "gestern"}, "--from 'gestern' is no day: write it as 2026-01-31"),
        ({"first": "2026-02-01", "last": "2026-01-31"}, "is after --to"),
        ({"states": ["closd"]}, "--state 'closd' is unknown: use one of .*, closed,"),
        ({"registered_by": ["999999"]}, "999999"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(chosen: dict[str, Any], problem: str) -> None:
    choice = {"first": None, "last": None, "states": None, "registered_by": None, **chosen}
    with pytest.raises(PetitionLinkError, match=problem):
        _selection(**choice, handled_by=None)


@needs_real_data
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_the_published_messages_come_back(
    beijing: Settings, shandong: Settings, tmp_path: Path, suffix: str
) -> None:
    imported(beijing, MESSAGES_WITH_REPLIES, "messages")
    path = tmp_path / f"register{suffix}"
    assert exported(beijing, path) == Totals(exported=1400, whole=1400)
    totals, reasons = imported(shandong, path)
    assert (totals.registered, reasons) == (1400, [])
    assert rows(shandong, _TOLD) == rows(beijing, _TOLD)
    assert [
        one for one in read_register(path, load_mapping("register")) if isinstance(one, Rejected)
    ] == []
