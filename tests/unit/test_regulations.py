"""The rule sets as data: what they say, and that a wrong file is refused in one line."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from cases import regulations
from cases.regulations import RULE_SETS, ClockRule, regulation, rule_set_of
from cases.regulations.loader import read
from schemas.errors import Invalid
from schemas.instants import parse_instant

FILES = Path(regulations.__file__).parent
DOCUMENT = Path(__file__).parents[2] / "docs" / "rule-sets.md"
CLAIM_ONLY = {"D06", "D07", "D08", "D09", "D10", "D11"}
# docs/domain.md §3: clock, length, unit, what it starts from.
TABLE = [
    ("D01", 15, "day", "receipt"),
    ("D01a", 15, "day", "arrival"),
    ("D02", 1, "working_day", "arrival"),
    ("D03", 15, "day", "arrival"),
    ("D06", 60, "day", "acceptance"),
    ("D07", 30, "day", "end_of_handling"),
    ("D08", 30, "day", "service_of_decision"),
    ("D09", 30, "day", "request"),
    ("D10", 30, "day", "service_of_review"),
    ("D11", 30, "day", "request"),
    ("D12", 0, "named", "assignment"),
    ("D13", 30, "day", "supervision"),
    ("D14", 10, "working_day", "acceptance"),
    ("D16", 30, "day", "service_of_decision"),
]


@pytest.mark.parametrize("rule_set", RULE_SETS)
def test_the_clocks_are_those_of_the_domain(rule_set: str) -> None:
    clocks = regulation(rule_set).clocks
    found = [(c.id, c.length, c.unit, c.starts) for c in clocks.values() if c.id != "D05"]
    assert found == TABLE
    assert dict(clocks["D01a"].tiers) == {
        "national": 5,
        "province": 3,
        "prefecture": 3,
        "county": 4,
    }
    assert {c.id for c in clocks.values() if c.pause} == {"D11"}
    assert not any(c.roll_over for c in clocks.values())


def test_only_xf2022_has_the_objection() -> None:
    assert "D05" not in regulation("XF2005").clocks
    objection = regulation("XF2022").clocks["D05"]
    assert (objection.length, objection.unit, objection.duty) == (5, "working_day", False)


def test_windows_are_rights_that_lapse_and_all_else_is_duty() -> None:
    windows = {c.id for c in regulation("XF2022").clocks.values() if c.window}
    assert windows == {"D05", "D08", "D10", "D16"}


def test_assumptions_and_practice_are_not_sold_as_law() -> None:
    for rule_set, assumed in (("XF2005", {"D16"}), ("XF2022", {"D13", "D16"})):
        clocks = regulation(rule_set).clocks.values()
        assert {c.id for c in clocks if c.source == "assumption"} == assumed
        assert {c.id for c in clocks if c.source == "practice"} == {"D01a", "D02"}
        assert {c.id for c in clocks if c.source == "published" and not c.verified} == {"D14"}
        assert all(c.article for c in clocks if c.verified)


def test_the_two_rule_sets_follow_each_other_without_a_gap() -> None:
    older, newer = regulation("XF2005"), regulation("XF2022")
    assert older.last_day is not None
    assert older.last_day + timedelta(days=1) == newer.first_day == date(2022, 5, 1)
    assert newer.last_day is None
    for one in (older, newer):
        assert rule_set_of(parse_instant("at", f"{one.first_day}T00:00+08:00")) == one.id
    assert rule_set_of(parse_instant("at", f"{older.last_day}T23:59:59+08:00")) == older.id


@pytest.mark.parametrize("clock", sorted(CLAIM_ONLY))
def test_in_xf2022_only_article_31_item_6_has_handling_and_reviews(clock: str) -> None:
    newer, older = regulation("XF2022"), regulation("XF2005")
    assert newer.applies(clock, "claim", "6")
    for matter in [("suggestion", ""), ("accusation", ""), *(("claim", n) for n in "12345")]:
        assert not newer.applies(clock, *matter)
        assert older.applies(clock, *matter)


def test_a_matter_not_yet_classed_never_goes_without_a_deadline() -> None:
    for rule_set in RULE_SETS:
        assert regulation(rule_set).applies("D06", "", "")
        assert regulation(rule_set).applies("D06", "claim", "")


def test_every_matter_has_the_clocks_that_ask_for_no_class() -> None:
    newer = regulation("XF2022")
    for clock in newer.clocks.keys() - CLAIM_ONLY:
        assert newer.applies(clock, "suggestion", "")
    assert not regulation("XF2005").applies("D05", "claim", "6")
    assert not newer.applies("D99", "claim", "6")


def test_classes_and_the_six_paths_came_in_2022() -> None:
    newer = regulation("XF2022")
    assert {k: v.chinese for k, v in newer.classes.items()} == {
        "suggestion": "建议意见",
        "accusation": "检举控告",
        "claim": "申诉求决",
    }
    assert sorted(newer.claim_paths) == ["1", "2", "3", "4", "5", "6"]
    assert newer.claim_paths["6"].article == "第三十一条第六项"
    assert not regulation("XF2005").classes
    assert sorted(newer.grounds) == ["1", "2", "3", "4", "5", "6"]


def test_refusals_cite_their_article() -> None:
    older, newer = regulation("XF2005"), regulation("XF2022")
    assert older.articles.keys() == newer.articles.keys()
    assert older.cite("extension_limit") == "《信访条例》第三十三条"
    assert newer.cite("extension_limit") == "《信访工作条例》第三十四条"
    assert newer.cite("objection_window") == "《信访工作条例》第二十三条第三款"
    assert newer.cite("accusation") == "《信访工作条例》第三十条第三款"
    assert newer.cite("same_node") == newer.cite("no such rule") == ""


def test_an_unknown_rule_set_is_refused() -> None:
    with pytest.raises(Invalid, match="'XF1995' is unknown: use XF2005 or XF2022"):
        regulation("XF1995")


WRONG = [
    ("group_from = 5", "group_form = 5", "group_form is unknown"),
    ("group_from = 5", "", "group_from is missing"),
    ("group_from = 5", 'group_from = "five"', "group_from is 'five', which is of the wrong type"),
    ("group_from = 5", "group_from = true", "wrong type"),
    ("first_day = 2022-05-01", "first_day = 2022-05-01T00:00:00", "first_day is .* wrong type"),
    ('unclassed_as = "claim_6"', 'unclassed_as = "claim"', "unclassed_as is 'claim': use one of"),
    ("length = 60", "lenght = 60", "clocks.D06.lenght is unknown: known are id, chinese"),
    ("length = 60", "length = 60.5", "clocks.D06.length is 60.5"),
    ("length = 60", "length = 0", "clocks.D06.length is 0 with unit day"),
    ("length = 60", "length = -1", "clocks.D06.length is -1"),
    ("length = 60", 'length = 60\nid = "D6"', "clocks.D06.id is 'D6'"),
    ("county = 4", "county = 5", "clocks.D01a.tiers add up to 16, not to 15"),
    ("county = 4", 'county = "4"', "clocks.D01a.tiers must be whole numbers"),
    ('unit = "named"', 'unit = "weeks"', "clocks.D12.unit is 'weeks': use one of"),
    ('pause = "hearing"', 'pause = "lunch"', "clocks.D11.pause is 'lunch'"),
    ('final = "第三十六条第三款"', "final = 36", "articles.final is 36, which is no text"),
    ("[classes.claim]\nchinese", "[classes.claim]\nfinnish", "classes.claim.finnish is unknown"),
    ("[grounds]", "[grounds", "cannot be read"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), WRONG)
def test_a_wrong_file_is_refused_in_one_clear_line(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    text = (FILES / "XF2022.toml").read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / "XF2022.toml"
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(Invalid, match=message) as caught:
        read(file)
    assert "XF2022.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_clock_that_is_no_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        read(tmp_path / "XF2030.toml")
    file = tmp_path / "XF2022.toml"
    text = (FILES / "XF2022.toml").read_text(encoding="utf-8")
    file.write_text(text.split("[clocks.D01]")[0] + "[clocks]\nD01 = 15\n", encoding="utf-8")
    with pytest.raises(Invalid, match=r"clocks\.D01 is no table"):
        read(file)


@pytest.mark.parametrize("rule_set", RULE_SETS)
def test_the_document_shows_each_clock_as_the_data_has_it(rule_set: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text.split(f"## {rule_set}")[1].split("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| D")]
    assert shown == [documented(clock) for clock in regulation(rule_set).clocks.values()]


def documented(clock: ClockRule) -> str:
    """Return a clock as its row in docs/rule-sets.md."""
    units = {"day": " d", "working_day": " working d", "named": "named in the act"}
    length = (str(clock.length) if clock.length else "") + units[clock.unit]
    kind = "duty" if clock.duty else "window"
    matters = "art. 31(6)" if clock.applies == "claim_6" else "all"
    ground = "published, not verified" if clock.source == "published" else clock.source
    if clock.source == "published" and clock.verified:
        ground = "published"
    if clock.source == "assumption":
        ground = "**assumption 假设**"
    cells = [clock.id, clock.chinese, length, clock.starts, clock.owner, kind, matters]
    return "| " + " | ".join([*cells, clock.article or "—", ground]) + " |"
