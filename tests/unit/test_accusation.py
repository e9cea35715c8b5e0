"""The hard guards: accusation material 检举控告 never reaches the accused, secrets never travel."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.story import BEIJING, CASE, CENTRE, CORPS, REASONS, SHANDONG, Story
from support.universe import CODES

from cases.accusation import barred_nodes, is_barred
from cases.case import Case, Conflict
from cases.errors import Refusal
from cases.nodes import NATIONAL, NODES, PROVINCES
from cases.routing import barred, recipients

UNITS = ("某某局", "某市民政局", "某省教育厅")
any_node = st.sampled_from(sorted(NODES))
any_province = st.sampled_from(sorted(PROVINCES))
any_unit = st.sampled_from(UNITS)
# How a desk may write a node: its code, its name, its office; with blanks and full-width forms.
any_spelling = st.sampled_from(
    ["{code}", "{name}", "{name}信访局", "{name}人民政府", " {name} ", "{name}　信访局"]
)
below = st.sampled_from(["{}", "{}二处", "某区{}分局", "{} 办公室"])
DIVERT = {**REASONS, "kind": "led_in", "pathway": "litigation"}


@given(any_province, any_spelling)
def test_however_a_node_is_written_it_is_barred_and_no_other_province(
    code: str, spelling: str
) -> None:
    accused = [spelling.format(code=code, name=NODES[code].chinese)]
    assert barred_nodes(accused) == {code}


@given(any_unit, below, st.lists(any_province, max_size=3))
def test_a_unit_under_the_accused_unit_is_barred_whoever_else_is_accused(
    unit: str, under: str, others: list[str]
) -> None:
    assert is_barred([*others, unit], under.format(unit))


@given(any_province, any_unit)
def test_a_unit_under_an_accused_node_is_barred(code: str, unit: str) -> None:
    assert is_barred([code], NODES[code].chinese + unit)
    assert is_barred([NATIONAL], code)
    assert is_barred([NATIONAL], NODES[code].chinese + unit)


def test_nobody_is_barred_without_an_accused() -> None:
    assert barred_nodes([]) == frozenset()
    assert barred_nodes(["", " ", "局"]) == frozenset()


# Every command that can name a body, and in which field.
NAMING: list[tuple[str, str, str, dict[str, Any]]] = [
    ("registered", "forward", "to", {}),
    ("registered", "assign", "to", {}),
    ("registered", "copy", "to", {}),
    ("registered", "forward", "unit", {"to": CORPS}),
    ("registered", "assign", "unit", {"to": CORPS}),
    ("landed", "accept", "unit", {}),
    ("landed", "land", "unit", {}),
    ("landed", "divert", "competent", DIVERT),
    ("accepted", "progress", "unit", {"progress": "调查中"}),
    ("accepted", "decide", "unit", {"outcome": "supported", "opinion": "意见"}),
    ("served", "request_review", "reviewer", REASONS),
    ("review_requested", "decide_review", "unit", {"outcome": "upheld", "opinion": "意见"}),
    ("review_decided", "request_recheck", "reviewer", REASONS),
    ("recheck_requested", "decide_recheck", "unit", {"outcome": "upheld", "opinion": "意见"}),
    (
        *("landed", "supervise", "unit"),
        {"to": SHANDONG, "kind": "urged", "grounds": [1], "requirement": "请办理"},
    ),
]


@pytest.mark.parametrize(("state", "command", "field", "rest"), NAMING)
@settings(max_examples=8)
@given(unit=any_unit, under=below, code=st.sampled_from(["660000", "新疆生产建设兵团"]))
def test_no_draft_names_the_accused_or_who_is_under_it(
    state: str, command: str, field: str, rest: dict[str, Any], unit: str, under: str, code: str
) -> None:
    accused, target = ([code], CORPS) if field == "to" else ([unit], under.format(unit))
    story = Story(accused=accused).to("assigned" if command == "land" else state)
    desk = story.case.handled_by or CENTRE
    refusal = story.refusal(desk, command, **{**rest, field: target})
    assert refusal.rule == "accusation"
    assert "第三十条第三款" in str(refusal)


@given(st.lists(st.sampled_from([*PROVINCES, *UNITS]), max_size=4), st.sampled_from(CODES))
def test_the_router_sends_nothing_to_the_accused(accused: list[str], emitter: str) -> None:
    case = Case("110000-1", participants=[*PROVINCES], registration={"accused": accused})
    sent = recipients(NATIONAL, emitter, case.participants, barred(case))
    assert not {one for one in accused if one in NODES} & {*sent}
    assert {*sent} == {*PROVINCES} - {*accused, emitter}


def test_the_router_sends_nothing_of_a_secret_that_slipped_in() -> None:
    case = Case("110000-1", participants=[*PROVINCES], conflicts=[Conflict("x", "state_secret")])
    assert recipients(NATIONAL, NATIONAL, case.participants, barred(case)) == []


@given(any_province)
def test_no_province_passes_on_what_others_emitted(code: str) -> None:
    assert recipients(code, NATIONAL, [*PROVINCES]) == []
    assert recipients(code, code, [*PROVINCES]) == [NATIONAL]


@settings(max_examples=25)
@given(st.sampled_from(["registered", "landed", "accepted", "served", "review_decided"]))
def test_a_secret_is_refused_at_any_time_of_life(state: str) -> None:
    story = Story().to(state)
    correction = {"corrections": [{"field": "confidential", "value": "true"}], "reason": "涉密"}
    assert story.refusal(BEIJING, "correct", **correction).rule == "state_secret"


def test_an_accused_office_does_not_register_and_an_accused_node_does_not_act() -> None:
    story = Story(accused=["北京市人民政府"])
    with pytest.raises(Refusal, match="accused itself"):
        story.to("registered")
    story = Story(accused=["山东省信访局"]).to("registered")
    correction = {"corrections": [{"field": "title", "value": "无事"}], "reason": "更正"}
    shandong = story.universe.nodes[SHANDONG]
    for event in story.universe.centre.events(CASE):  # as if it had got them from elsewhere
        shandong.take(event)
    assert story.refusal(SHANDONG, "correct", **correction).rule == "accusation"


@pytest.mark.parametrize("first", [BEIJING, SHANDONG])
def test_two_nodes_that_accuse_each_other_at_once_are_both_barred(first: str) -> None:
    story = Story().to("landed")
    desks = {code: story.universe.nodes[code] for code in (BEIJING, SHANDONG)}
    events = {}
    for code, other in ((BEIJING, SHANDONG), (SHANDONG, BEIJING)):
        accuses = {"corrections": [{"field": "accused", "value": other}], "reason": "更正"}
        events[code] = desks[code].do("correct", CASE, accuses)
    for code in (first, *({BEIJING, SHANDONG} - {first})):
        story.universe.take(story.universe.centre, events[code])
    assert {*story.case.registration["accused"]} == {BEIJING, SHANDONG}
    assert story.case.handled_by == CENTRE
    assert story.universe.letters == []
