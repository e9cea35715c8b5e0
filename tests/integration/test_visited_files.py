"""How many files a reader opens to follow one record, one command and one turn of the relay.

`pytest tests/integration/test_visited_files.py -s` prints the files with their functions.
"""

from collections.abc import Callable

import pytest
from support.visits import Tracer, Visits
from support.web import client_of, new_case, post
from support.world import do, eventually, register, rows, running

from consumers.consumer import Consumer
from consumers.session import ConsumerSession
from node.entrypoints.web.api import commands
from node.localstack import LocalStack
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.relay.relay import Relay

# The numbers of today: a change that needs more files should say why.
MOST_FILES_OF_RECORD = 41
MOST_FILES_OF_COMMAND = 42
MOST_FILES_OF_RELAY_TURN = 11


@pytest.fixture
def sender(empty_topics: LocalStack, fresh_settings: Callable[..., Settings]) -> Settings:
    return fresh_settings("370000")


@pytest.fixture
def receiver(fresh_settings: Callable[..., Settings]) -> Settings:
    return fresh_settings("000000")


def test_a_consumed_record_visits_few_files(sender: Settings, receiver: Settings) -> None:
    tracer = Tracer(ConsumerSession.decode, ConsumerSession.submit, ConsumerSession.apply)
    cases = [register(sender), register(sender)]
    with (
        running(Relay(sender, Metrics()), Metrics()),
        tracer.installed(),
        running(Consumer(receiver, Metrics()), Metrics()),
    ):
        for case_id in cases:  # the first one fills the caches
            _wait_for_events(receiver, case_id, 1)
            tracer.is_on = case_id == cases[-1]
            do(sender, "accept", case_id=case_id)
            _wait_for_events(receiver, case_id, 2)
    _report("a consumed record", tracer.visits)
    assert tracer.visits.files <= MOST_FILES_OF_RECORD


def test_a_command_visits_few_files(sender: Settings) -> None:
    tracer = Tracer(commands._answer)
    with tracer.installed(), client_of(sender) as client:
        cases = [new_case(client), new_case(client)]
        for case_id in cases:  # the first one fills the caches
            tracer.is_on = case_id == cases[-1]
            done = post(client, {"command": "accept", "case_id": case_id})
            assert done.status_code == 200, done.text
    _report("a command", tracer.visits)
    assert tracer.visits.files <= MOST_FILES_OF_COMMAND


def test_a_turn_of_the_relay_visits_few_files(sender: Settings) -> None:
    tracer = Tracer(Relay._publish_some)
    case_id = register(sender)
    with tracer.installed(), running(Relay(sender, Metrics()), Metrics()):
        _wait_until_published(sender)
        tracer.is_on = True
        do(sender, "accept", case_id=case_id)
        _wait_until_published(sender)
    _report("a turn of the relay", tracer.visits)
    assert tracer.visits.files <= MOST_FILES_OF_RELAY_TURN


def _wait_for_events(settings: Settings, case_id: str, number: int) -> None:
    query = "select count(*) from case_event where case_id = %s"
    eventually(
        lambda: rows(settings, query, (case_id,)) == [(number,)], f"{number} events of the case"
    )


def _wait_until_published(settings: Settings) -> None:
    query = "select count(*) from outbox where published_at is null"
    eventually(lambda: rows(settings, query) == [(0,)], "everything is published")


def _report(what: str, visits: Visits) -> None:
    print(f"\n{what}: {visits}")
