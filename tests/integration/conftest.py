"""Nodes with an empty database in the states that integration tests begin with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from support.cli import as_environment
from support.consuming import TOPIC
from support.rebuilding import arrive
from support.registers import make_register
from support.routines import ago, all_events, registered, served
from support.slow_line import RATE
from support.spoilt import Environment
from support.web import client_of
from support.world import do, end_offset, register

from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.runtime.settings import Settings


@pytest.fixture
def beijing(fresh_settings: Callable[..., Settings]) -> Settings:
    """Beijing with an empty database."""
    return fresh_settings("110000")


@pytest.fixture
def shandong(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with an empty database."""
    return fresh_settings("370000")


@pytest.fixture
def centre(fresh_settings: Callable[..., Settings]) -> Settings:
    """The national node with an empty database."""
    return fresh_settings("000000")


@pytest.fixture
def province_with_topics(empty_topics: LocalStack, shandong: Settings) -> Settings:
    """Shandong with an empty database; nothing of other tests is in the topics."""
    return shandong


@pytest.fixture
def centre_with_topics(empty_topics: LocalStack, centre: Settings) -> Settings:
    """The national node with an empty database; nothing of other tests is in the topics."""
    return centre


@pytest.fixture
def base(province_with_topics: Settings) -> int:
    """The offset of the first record that the test writes to partition 0 of Shandong's downlink."""
    return end_offset(province_with_topics, TOPIC)


@pytest.fixture
def client(beijing: Settings) -> Iterator[httpx.Client]:
    """An HTTP client of Beijing's web service, whose database is empty."""
    with client_of(beijing) as made:
        yield made


@pytest.fixture
def lived_centre(centre: Settings, fresh_settings: Callable[..., Settings]) -> Settings:
    """The centre with cases of its own and of Shandong, with clocks, evaluations, a supervision."""
    shandong = fresh_settings("370000")
    theirs = served(shandong, 20)
    do(shandong, "evaluate", case_id=theirs, object="office", satisfaction="satisfied")
    arrive(centre, all_events(shandong))
    ours = registered(centre, 40).case_id
    do(centre, "assign", case_id=ours, to="370000", occurred_at=ago(39))
    do(
        centre,
        "supervise",
        case_id=ours,
        to="370000",
        kind="urged",
        grounds=[1],
        requirement="请办",
    )
    for _ in range(3):
        register(centre)
    return centre


@pytest.fixture
def beijing_on_slow_line(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> Settings:
    """Beijing with a slow line, an empty topic and an empty database."""
    return fresh_settings("110000").model_copy(update={"relay_records_per_second": RATE})


@pytest.fixture(scope="module")
def good_environment(stack: LocalStack) -> Environment:
    """Good settings of a node; tests spoil one of them."""
    return as_environment(stack_settings("370000"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a good register."""
    make_register(tmp_path / "register.csv", 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def province_with_desk(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with an empty database."""
    return fresh_settings("370000").model_copy(update={"actor": "desk-1"})


@pytest.fixture
def dsn(fresh_dsn: Callable[..., str]) -> str:
    """The centre's database, empty."""
    return fresh_dsn("000000")
