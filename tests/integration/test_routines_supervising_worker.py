"""The supervising routine as a worker and as a command: which process acts, and when."""

import time
from pathlib import Path
from typing import Any

import pytest
from support.cli import petitionlink
from support.supervising import POLICY, audited, sent, try_it
from support.world import ended_with, eventually, rows, running

from cases.errors import Refusal
from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from producers.routines import supervision
from producers.routines.supervision_routine import Supervising


def one_round(centre: Settings, **changed: Any) -> None:
    settings = centre.model_copy(update=changed)
    worker = Supervising(settings)
    worker._policy = worker._read()
    with connected(settings.dsn, "test") as connection:
        assert worker.round(connection, open_office(settings), Stop()) == 3600


def test_the_worker_tries_by_default_and_issues_when_it_is_told_to(
    centre: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    case_id = sent(centre, 10)
    one_round(centre, supervision="issue")
    assert "never tried" in caplog.text
    assert audited(centre) == []
    one_round(centre)
    one_round(centre, supervision="issue")
    one_round(centre, supervision="issue")
    assert audited(centre) == [("supervision.tried", None), ("supervision.issued", case_id)]
    (actor,) = rows(centre, "select distinct actor from audit_log")
    assert actor == ("routine:supervising",)


def test_the_worker_does_not_try_a_refused_case_in_every_round(
    centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(centre, 12)
    try_it(centre)
    monkeypatch.setattr(supervision, "handled", _refuse)
    worker = Supervising(centre.model_copy(update={"supervision": "issue"}))
    worker._policy = POLICY
    with connected(centre.dsn, "test") as connection:
        for _ in range(3):
            worker.round(connection, open_office(centre), Stop())
    assert [action for action, _ in audited(centre)].count("supervision.refused") == 1


def _refuse(*_: object) -> None:
    raise Refusal("some_rule", "refused")


def test_the_worker_of_a_wrong_policy_ends_with_one_line_and_off_reads_none(
    centre: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("most_per_round = 0", encoding="utf-8")
    wrong = centre.model_copy(update={"supervision_policy": str(path)})
    with running(Supervising(wrong), Metrics()) as ended:
        assert f"the supervision policy {path}: " in ended_with(ended)
    with running(Supervising(wrong.model_copy(update={"supervision": "off"})), Metrics()) as ended:
        assert ended == []


def test_without_the_projects_folder_a_default_worker_waits_and_an_issuing_one_ends(
    centre: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "producers.routines.supervision_policy.DEFAULT_FILE", tmp_path / "none.toml"
    )
    assert Supervising(centre)._read() is None
    issuing = Supervising(centre.model_copy(update={"supervision": "issue"}))
    with running(issuing, Metrics()) as ended:
        assert "PETITIONLINK_SUPERVISION_POLICY" in ended_with(ended)


def test_one_of_two_processes_does_the_round(centre: Settings) -> None:
    sent(centre, 10)
    with running(Supervising(centre), Metrics()), running(Supervising(centre), Metrics()):
        eventually(lambda: len(audited(centre)) > 0, "a round")
        time.sleep(0.3)
    assert audited(centre) == [("supervision.tried", None)]


def test_the_command_shows_first_and_issues_then(
    centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETITIONLINK_NODE", "000000")
    monkeypatch.setenv("PETITIONLINK_POSTGRES_DSN", centre.dsn)
    monkeypatch.setenv("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", centre.kafka_bootstrap_servers)
    monkeypatch.setenv("PETITIONLINK_KEY_FOLDER", str(centre.key_folder))
    case_id = sent(centre, 10)
    early = petitionlink("supervise", "--issue")
    assert early.code == 1
    assert "was never tried as it stands" in early.err
    shown = petitionlink("supervise", "--format", "json").json()
    assert (shown["dry_run"], shown["proposed"], shown["issued"]) == (True, 1, 0)
    assert shown["items"][0]["case_id"] == case_id
    done = petitionlink("supervise", "--issue", "--format", "json").json()
    assert (done["dry_run"], done["issued"], done["refused"]) == (False, 1, 0)
    assert done["items"][0]["supervision_id"]
    table = petitionlink("supervise")
    assert (table.code, "0 would be issued" in table.out) == (0, True)
