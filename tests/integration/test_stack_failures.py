"""A server that does not start says why: its own last lines, or the cure."""

import shutil
from pathlib import Path

import pytest

from node.localstack import broker, postgres
from node.runtime.errors import PetitionLinkError


def test_a_broker_that_ends_while_starting_shows_its_last_lines(stack_folder: Path) -> None:
    data = stack_folder / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=77\n")
    chosen = broker.chosen(None, set())
    broker.start(stack_folder, chosen)
    with pytest.raises(PetitionLinkError, match=r"(?s)broker ended while starting.*broker\.log:"):
        broker.await_ready(stack_folder, chosen)


def test_a_postgres_that_does_not_start_shows_its_last_lines(stack_folder: Path) -> None:
    chosen = postgres.chosen(None, stack_folder, set())
    postgres.start(chosen)
    home = Path(chosen.folder)
    assert postgres.stop(home)
    shutil.rmtree(home / "data" / "global")
    with pytest.raises(PetitionLinkError, match=r"(?s)Postgres does not start.*postgres\.log:"):
        postgres.start(chosen)
    (home / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PetitionLinkError, match="data are of Postgres 9"):
        postgres.start(chosen)
