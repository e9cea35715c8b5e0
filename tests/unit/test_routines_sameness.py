"""First or repeat: of one matter of one person exactly one case is the first."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.routines.same_matter import Known, identify, plain_title


def known(case_id: str, at: int = 0, digest: str | None = "p", **more: Any) -> Known:
    return Known(case_id, at, digest, **{"title": f"事项{case_id}", **more})


def found(*cases: Known) -> dict[str, tuple[str, str | None]]:
    return {case.case_id: (one.finding, one.repeat_of) for case, one in identify(cases)}


LEVELS = ("住房", "物业", "供暖")


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"title": "供暖不足"}, {"title": "  供暖,不足!"}),
        ({"title": "ABC小区"}, {"title": "abc 小区。"}),
        (
            {"categories": LEVELS, "area": "110101"},
            {"categories": LEVELS, "area": "110101001000"},
        ),
        ({}, {"named": "a"}),
    ],
)
def test_the_same_matter_of_the_same_person_is_a_repeat(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    findings = found(known("a", 1, **earlier), known("b", 2, **later))
    assert findings == {"a": ("first", None), "b": ("repeat", "a")}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"title": "供暖不足"}, {"title": "欠薪"}),
        ({"title": "!!"}, {"title": "。。"}),
        (
            {"categories": LEVELS[:2], "area": "110101"},
            {"categories": LEVELS[:2], "area": "110101"},
        ),
        ({"categories": LEVELS, "area": "1101"}, {"categories": LEVELS, "area": "1101"}),
        ({"categories": LEVELS, "area": "110101"}, {"categories": LEVELS, "area": "110102"}),
        ({}, {"named": "elsewhere"}),
        ({"digest": "q", "title": "供暖不足"}, {"title": "供暖不足"}),
        ({"digest": None, "title": "供暖不足"}, {"digest": None, "title": "供暖不足"}),
        ({"digest": "q"}, {"named": "a"}),
    ],
)
def test_another_matter_or_another_person_is_a_first(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    findings = found(known("a", 1, **earlier), known("b", 2, **later))
    assert findings == {"a": ("first", None), "b": ("first", None)}


def test_a_repeat_of_a_repeat_names_the_first() -> None:
    findings = found(
        known("a", 1, title="供暖"),
        known("b", 2, title="供热", named="a"),
        known("c", 3, title="供热"),
    )
    assert findings["c"] == ("repeat", "a")


def test_an_earlier_finding_stays_although_an_earlier_case_arrives_later() -> None:
    findings = found(known("a", 1, title="供暖"), known("b", 2, title="供暖", finding="first"))
    assert findings == {"a": ("repeat", "b")}


def test_at_the_same_instant_the_case_id_decides() -> None:
    assert found(known("b", 1, title="供暖"), known("a", 1, title="供暖")) == {
        "a": ("first", None),
        "b": ("repeat", "a"),
    }


def test_two_cases_that_name_each_other_are_no_circle() -> None:
    findings = found(known("a", 1, named="b"), known("b", 2, named="a"))
    assert findings == {"a": ("first", None), "b": ("repeat", "a")}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from("pq"), st.sampled_from("xy"))), st.data()
)
def test_in_whatever_batches_they_are_decided_each_matter_has_one_first(
    drawn: list[tuple[int, str, str]], data: st.DataObject
) -> None:
    cases = [known(f"{n:03d}", at, who, title=what) for n, (at, who, what) in enumerate(drawn)]
    waiting, decided = data.draw(st.permutations(cases)), list[Known]()
    while waiting:
        size = data.draw(st.integers(1, len(waiting)))
        batch, waiting = waiting[:size], waiting[size:]
        for case, one in identify([*decided, *batch]):
            decided.append(case._replace(finding=one.finding, repeat_of=one.repeat_of))
    decided.sort(key=lambda case: (case.identity_digest or "", case.title))
    for _, group in itertools.groupby(decided, lambda case: (case.identity_digest, case.title)):
        several = list(group)
        (first,) = (case for case in several if case.finding == "first")
        assert {case.repeat_of for case in several} - {None} <= {first.case_id}


def test_a_title_is_compared_without_width_case_blanks_and_punctuation() -> None:
    assert plain_title(known("a", title="ABC 小区(3号楼)!")) == "abc小区3号楼"
