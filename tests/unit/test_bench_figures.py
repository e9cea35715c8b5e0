"""Goals of the benchmark's figures, as the table tells them."""

import pytest

from benchmarks import report
from benchmarks.figures import Figure, Goal

RUN = report.Run("make bench", "today", "a machine")


def figure(goal: Goal | None, values: tuple[float, ...] = (10, 20, 30)) -> Figure:
    return Figure("what", "events/s", values, "how", "a peer", (5, 10, 10), goal)


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (None, None),
        (Goal(2), True),  # ratios 2, 2, 3
        (Goal(2.01), False),
        (Goal(20, of_ratio=False), True),
        (Goal(20, of_ratio=False, below=True), False),
        (Goal(20.1, of_ratio=False, below=True), True),
        (Goal(2, below=True), False),
    ],
)
def test_a_goal_is_met_by_the_median_of_the_runs(goal: Goal | None, met: bool | None) -> None:
    assert figure(goal).met is met


def test_the_ratio_is_taken_run_by_run_and_not_of_the_medians() -> None:
    # Medians 20 and 10 would give 2; the runs give 4, 1, 1.
    drifting = Figure("what", "events/s", (20, 10, 30), "", "a peer", (5, 10, 30), Goal(2))
    assert drifting.ratios == [4, 1, 1]
    assert drifting.met is False


def test_the_document_shows_goals_and_whether_they_are_met() -> None:
    figures = [
        figure(Goal(2)),
        figure(Goal(3)),
        figure(Goal(15, of_ratio=False, below=True)),
        figure(None),
    ]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in report.document(figures, RUN).splitlines()
        if line.startswith("|")
    ]
    assert len({len(row) for row in rows}) == 1
    assert rows[0][-2:] == ["goal", "met"]
    assert [row[-2:] for row in rows[2:]] == [
        ["ratio ≥ 2", "yes"],
        ["ratio ≥ 3", "**no**"],
        ["< 15", "**no**"],
        ["", ""],
    ]


def test_peers_and_profile_follow_the_table_only_when_there_are_any() -> None:
    bare = report.document([figure(None)], RUN)
    full = report.document([figure(None)], RUN._replace(peers="quick 1.0"), "It waits.")
    assert "Peers:" not in bare
    assert "##" not in bare
    assert full.startswith(bare.rstrip("\n"))
    assert full.index("Peers: quick 1.0.") < full.index("## Where the time goes")
    assert full.endswith("\n\nIt waits.\n")
