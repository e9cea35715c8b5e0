"""The supervision policy: what it may say, and what is said of a wrong one."""

import re
from pathlib import Path

import pytest

from cases.clocks import names
from node.queries.deadlines import duties
from node.runtime.errors import Fatal
from producers.routines.supervision_policy import DEFAULT_FILE, Policy, read_policy

RULE = """
[[rule]]
name = "late"
clocks = ["D06"]
overdue_days = 1
kind = "urged"
grounds = [1]
requirement = "请尽快办结"
"""


def read(folder: Path, text: str) -> Policy:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return read_policy(path)


def test_the_shipped_policy_covers_every_duty_but_the_answer_that_escalation_waits_for() -> None:
    policy = read_policy(DEFAULT_FILE)
    clocks = {clock for rule in policy.rule for clock in rule.clocks}
    assert clocks == {*duties()} - {names.SUPERVISION}
    assert [rule.name for rule in policy.rule if rule.assigned_days] == ["assigned_without_result"]
    assert [policy.patience_days(kind) for kind in ("urged", "supervised", "listed")] == [
        15,
        30,
        None,
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["D06"]', '["D16"]', "rule 1 clocks: 'D16' is no duty: use D01, D01a"),
        ('["D06"]', '["D6"]', "rule 1 clocks: 'D6' is no duty"),
        ('"urged"', '"shouted"', "rule 1 kind: Input should be 'urged', 'supervised' or 'listed'"),
        ("[1]", "[7]", "rule 1 grounds 1: Input should be less than or equal to 6"),
        ("[1]", "[]", "rule 1 grounds: List should have at least 1 item"),
        ("overdue_days = 1", "overdue_day = 1", "rule 1 overdue_day: Extra inputs"),
        ("overdue_days = 1", 'overdue_days = "1"', "rule 1 overdue_days: Input should be a valid"),
        ("overdue_days = 1", "assigned_days = 1", "rule 1: give either clocks with overdue_days"),
        ('requirement = "请尽快办结"', "", "rule 1 requirement: Field required"),
        ("overdue_days = 1", "overdue_days = -1", "rule 1 overdue_days: Input should be greater"),
        ("[[rule]]", "most_per_round = 0\n[[rule]]", "most_per_round: Input should be greater"),
        (RULE, RULE + RULE, "two rules are called 'late'"),
        (RULE, "", "rule: Field required"),
        ("[[rule]]", "[[rule", "cannot be read"),
    ],
)
def test_a_wrong_policy_is_one_line_with_file_entry_and_cure(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(Fatal, match=re.escape(said)) as caught:
        read(tmp_path, RULE.replace(old, new))
    assert "policy.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_policy_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="PETITIONLINK_SUPERVISION_POLICY"):
        read_policy(tmp_path / "none.toml")


def test_comments_and_the_order_of_keys_make_no_other_policy_but_values_do(tmp_path: Path) -> None:
    turned = "# said otherwise\n" + "\n".join(
        ["[[rule]]", *reversed(RULE.strip().splitlines()[1:])]
    )
    assert read(tmp_path, RULE).digest == read(tmp_path, turned).digest
    assert read(tmp_path, RULE).digest != read(tmp_path, RULE.replace("= 1", "= 2")).digest
