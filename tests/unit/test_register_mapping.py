"""Mappings: the shipped ones, and what is refused in one's own."""

from pathlib import Path

import pytest

from producers.register import RegisterError, load_mapping, shipped_names
from producers.register.targets import targets

PROJECT = Path(__file__).parents[2]
GOOD = """
title = "试"
source = "trial"
[columns]
"号" = "origin_number"
"日" = "received_at"
"题" = "title"
[constants]
channel = "web"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "trial.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_mapping_loads(name: str) -> None:
    assert load_mapping(name).name == name


def test_the_register_format_has_a_column_for_every_field_that_a_clerk_fills_in() -> None:
    mapping = load_mapping("register")
    filled = {target.name for column in mapping.columns.values() for target in column}
    notes = {"accept.note", "close.note", "forward.note", "land.note"}
    not_in_a_register = {*notes, "serve.document"}
    assert set(targets()) - filled == not_in_a_register
    assert mapping.required_columns == ["登记编号", "信访形式", "信访日期", "标题"]


def test_the_documentation_names_every_column_and_its_example_is_a_mapping(
    tmp_path: Path,
) -> None:
    text = (PROJECT / "docs" / "register-format.md").read_text(encoding="utf-8")
    for name in shipped_names():
        for column in [*load_mapping(name).columns, *(load_mapping(name).ignored - {"*"})]:
            assert column in text
    example = text.partition("```toml\n")[2].partition("```")[0]
    assert load_mapping(written(tmp_path, example)).source == "hotline-37"


def test_the_messages_mapping_says_what_the_data_do_not() -> None:
    mapping = load_mapping("messages")
    assert mapping.constants["decide.outcome"] == "explained"
    assert mapping.constants["petitioner.id_type"] == "account"
    assert mapping.implied == {"accept"}
    assert mapping.required_columns == ["留言编号", "留言用户", "留言主题", "留言时间", "留言详情"]


def test_a_mapping_of_ones_own_is_loaded_by_its_path(tmp_path: Path) -> None:
    mapping = load_mapping(written(tmp_path, GOOD))
    assert (mapping.name, mapping.source) == ("trial", "trial")
    assert mapping.column_of("title") == "题"


def test_an_unknown_name_lists_the_shipped_mappings() -> None:
    with pytest.raises(RegisterError, match=r"'registr' is neither .* messages or register"):
        load_mapping("registr")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[constants]", "[constant]", "key 'constant' is unknown: use title"),
        ('"题" = "title"', '"题" = "tittle"', "columns.题: target 'tittle' is unknown"),
        ('"题" = "title"', '"题" = 3', "target 3 is unknown"),
        ('"题" = "title"', '"题" = []', "column '题' has no target"),
        ('"题" = "title"', '"题" = ["title", "persons"]', "cannot be a text of one line and"),
        ('"题" = "title"', "", "target 'title' is required"),
        ('channel = "web"', "", "target 'channel' is required"),
        ('channel = "web"', 'channel = "feige"', "channel = 'feige' is not one of"),
        ('channel = "web"', 'channel = "web"\n"accept.at" = "2020"', "is a date and needs a col"),
        ('"题" = "title"', '"题" = "title"\n"名" = "title"', "'title' has 2 columns"),
        ('source = "trial"', "", "'source' is missing"),
        ('source = "trial"', 'source = "t"\nrequired = ["无"]', "'无' is neither mapped nor"),
        ('source = "trial"', 'source = "t"\nrequired = "题"', "'required' must be a list"),
        ('source = "trial"', 'source = "t"\nignored = ["题"]', "'题' is both mapped and ignored"),
        ('"题" = "title"', '"题" = "title"\n"答" = "decide.at"', "decide needs target 'accept.at'"),
        ('"题" = "title"', '"题" = "title"\n"落" = "land.at"', "land needs target 'forward.at'"),
        ('source = "trial"', 'source = "t"\nimplied = ["accept"]', "implied command 'accept' has"),
        ('source = "trial"', 'source = "t"\nformula_guard = 1', "must be true or false"),
        ("[constants]", "[values]\nchannel = 1\n[constants]", "values.channel: must be a table"),
        ("[constants]", '[values.channel]\n"信" = "mail"\n[constants]', "'mail' is not one of"),
        ("[constants]", '[values.persons]\n"三" = 3\n[constants]', "whole number has no words"),
        ("[columns]", "[columns", "cannot be read as TOML"),
    ],
)
def test_a_wrong_mapping_is_refused_with_the_place(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(RegisterError, match=problem) as caught:
        load_mapping(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
