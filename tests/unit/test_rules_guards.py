"""Every guard of docs/domain.md §4 and every rule refuses by its name and article."""

import re
from pathlib import Path
from typing import Any

import pytest
from support.guards import EXTEND, GOOD, GUARDS, HANDED, Given, Guard
from support.story import BEIJING, CASE, REASONS, SHANDONG, Story

from cases import rules
from cases.regulations import regulation
from schemas.errors import Invalid, PetitionLinkError

# No desk gets as far as these: the form or another rule refuses first. They hold for what comes
# over the wire, and are shown below.
ON_THE_WIRE = {"extension_limit", "evaluation_object", "recheck_named", "not_dispatched"}


def cases_of_guards() -> list[Any]:
    """Return a test for each guard and rule set."""
    return [
        pytest.param(one, rule_set, id=f"{one.rule}-{one.command}-{one.state}-{rule_set}-{place}")
        for place, one in enumerate(GUARDS)
        for rule_set in one.rule_sets
    ]


@pytest.mark.parametrize(("guard", "rule_set"), cases_of_guards())
def test_what_is_forbidden_is_refused_by_rule_and_article(guard: Guard, rule_set: str) -> None:
    story = reach(guard, rule_set)
    given = completed(story, guard.given)
    if guard.command == "register":
        given = {"title": "供暖不足", "channel": "web", **given}
    refusal = refused(story, guard, given)
    assert refusal.rule == guard.rule, refusal
    assert regulation(rule_set).cite(guard.rule) in str(refusal)
    assert "\n" not in str(refusal)


def reach(guard: Guard, rule_set: str) -> Story:
    """Tell the story up to the refusal."""
    story = Story(rule_set, **guard.registration)
    if guard.state:
        story.to(guard.state)
    for node, name, given in guard.before:
        story.do(node, name, **completed(story, given))
    return story.later(guard.days)


def completed(story: Story, given: Given) -> dict[str, Any]:
    """Add the id of the story's supervision, which is known only now."""
    known = [*story.case.supervisions]
    return {name: known[0] if value == HANDED else value for name, value in given.items()}


def refused(story: Story, guard: Guard, given: dict[str, Any]) -> Any:
    """Return the refusal; `_at` and `_petitioner` are not fields of an event."""
    desk = story.universe.nodes[guard.node]
    how: dict[str, Any] = {}
    if given.pop("_at", None):
        how["at"] = story.now + 24 * 3_600_000_000
    if given.pop("_petitioner", None):
        how["petitioner"] = {"name": "张示例"}
    if not how:
        return story.refusal(guard.node, guard.command, **given)
    with pytest.raises(PetitionLinkError) as caught:
        desk.do(guard.command, CASE, given, **how)
    return caught.value


def test_every_rule_name_has_a_guard_here() -> None:
    folder = Path(rules.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    named = set(re.findall(r'Violation\(\s*"(\w+)"', source)) | {"state_secret"}
    named |= set(re.findall(r'_within\("D\d\d", "(\w+)"\)', source))
    assert named - {one.rule for one in GUARDS} - {"recheck_window"} == ON_THE_WIRE


@pytest.mark.parametrize("rule_set", ["XF2005", "XF2022"])
def test_a_recheck_later_than_30_days_after_service_of_the_review_is_refused(rule_set: str) -> None:
    story = Story(rule_set).to("review_decided")
    story.do(SHANDONG, "serve", document="review_decision")
    refusal = story.later(31).refusal(SHANDONG, "request_recheck", **REASONS)
    assert refusal.rule == "recheck_window"
    assert regulation(rule_set).cite("recheck_window") in str(refusal)


WIRE = [
    ("extension_limit", "accepted", SHANDONG, "extend", EXTEND, {"days": 31}),
    ("evaluation_object", "served", BEIJING, "evaluate", GOOD, {"object": "mayor"}),
    (
        *("recheck_named", "landed", SHANDONG, "no_longer_accept"),
        *({**REASONS, "recheck": "复核〔2026〕1号"}, {"recheck": " "}),
    ),
]


@pytest.mark.parametrize(("rule", "state", "node", "command", "good", "bad"), WIRE)
def test_what_the_form_refuses_is_a_conflict_if_it_comes_over_the_wire(
    rule: str, state: str, node: str, command: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    story = Story().to(state)
    with pytest.raises(Invalid, match=next(iter(bad))):
        story.do(node, command, **{**good, **bad})
    event = story.universe.nodes[node].do(command, CASE, good)
    found = rules.violation(story.case, event._replace(body={**event.body, **bad}))
    assert found is not None
    assert found.rule == rule


def test_an_objection_to_a_case_that_nobody_sent_is_a_conflict() -> None:
    story = Story().to("landed")
    event = story.universe.nodes[SHANDONG].do("object", CASE, REASONS)
    unsent = story.case.copy()
    unsent.dispatch = None
    found = rules.violation(unsent, event)
    assert found is not None
    assert found.rule == "not_dispatched"
