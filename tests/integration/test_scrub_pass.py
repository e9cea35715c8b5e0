"""A pass of the scrub: its position, its rate, its limits, and a rebuild of damaged events."""

from typing import Any

import pytest
from support.tampering import (
    folds,
    open_kinds,
)
from support.world import register, rows

from node.postgres.connection import connected
from node.rebuild.run import rebuild
from node.runtime.errors import Fatal
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.scrub import ledger_pass
from node.scrub.verifier import examine
from node.scrub.worker import DEFAULT_POLICY, Scrub, ScrubPolicy


def steps(
    settings: Settings, number: int, rate: int = 100, policy: ScrubPolicy = DEFAULT_POLICY
) -> list[float]:
    """Do `number` steps of the scrub in a session of its own; return the rests it asks for."""
    paced = settings.model_copy(update={"scrub_events_per_second": rate})
    with connected(settings.dsn, "test") as connection:
        scrub = Scrub(paced, Metrics(), connection, policy)
        return [scrub.step() for _ in range(number)]


def test_a_pass_goes_on_where_the_last_process_stood_and_keeps_to_its_rate(
    shandong: Settings,
) -> None:
    """Work is counted, not time: two events at 100 a second ask for a rest of 0.02 s."""
    two = ScrubPolicy(cases_at_a_time=2)
    cases = sorted(register(shandong) for _ in range(5))
    state = "select last_case, events, complete_events, began_at is null from scrub_state"
    assert steps(shandong, 1, policy=two) == [0.02]
    assert rows(shandong, state) == [(cases[1], 2, 0, False)]
    assert steps(shandong, 2, rate=1, policy=two) == [2.0, 1.0]
    assert rows(shandong, state) == [(cases[4], 5, 0, False)]
    steps(shandong, 1, policy=two)
    assert rows(shandong, state) == [("", 5, 5, True)]
    (rest,) = steps(shandong, 1)
    assert rest > 3000, "a small ledger is not gone over again at once"


def test_more_damage_than_one_accident_is_named_and_left_to_a_person(shandong: Settings) -> None:
    for _ in range(4):
        register(shandong)
    rows(shandong, "update case_event set value = value || 'x'")
    steps(shandong, 4, policy=ScrubPolicy(cases_at_a_time=1, most_quarantined=2))
    assert rows(shandong, "select count(*) from quarantined_event") == [(2,)]
    assert open_kinds(shandong) == ["undecodable"] * 4


def test_a_row_that_postgres_cannot_read_is_named_and_the_others_are_looked_at(
    shandong: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the error is made: a page that is really damaged cannot be made by SQL."""
    cases = sorted(register(shandong) for _ in range(4))

    def unreadable(cursor: Any, node: str, live: str, case_ids: list[str]) -> Any:
        if cases[2] in case_ids:
            cursor.execute("do $$ begin raise 'bad page' using errcode = 'XX001'; end $$")
        return examine(cursor, node, live, case_ids)

    monkeypatch.setattr(ledger_pass, "examine", unreadable)
    rows(shandong, "update petition_case set title = '假' where case_id = %s", (cases[3],))
    steps(shandong, 1)
    found = "select case_id, kind, healed_at is null from scrub_finding order by 1"
    assert rows(shandong, found) == [
        (cases[2], "unreadable", True),
        (cases[3], "projection_differs", False),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        "delete from case_event where case_id = %s",
        "update case_event set value = value || 'x' where case_id = %s",
    ],
)
def test_rebuild_does_not_swap_a_loss_in(shandong: Settings, damage: str) -> None:
    case_id = register(shandong)
    register(shandong)
    before = folds(shandong)
    rows(shandong, damage, (case_id,))
    with pytest.raises(Fatal, match=f"lost or damaged events of 1 cases .the first: {case_id}"):
        rebuild(shandong, lambda *_: None)
    assert folds(shandong) == before
    assert rebuild(shandong, lambda *_: None, dry_run=True).damaged == [case_id]
    rebuild(shandong, lambda *_: None, accept_loss=True)
    assert len(folds(shandong)) == 1


def test_rebuild_folds_the_bytes_and_not_the_bodies(shandong: Settings) -> None:
    register(shandong)
    before = folds(shandong)
    rows(shandong, 'update case_event set body = body || \'{"title": "假"}\'')
    rebuild(shandong, lambda *_: None)
    assert folds(shandong) == before
