"""The gate of commands 指令闸门: nothing is emitted by a database that may lack own events."""

from pathlib import Path

import pytest
from support.backups import Backup
from support.cli import as_environment, petitionlink, refused
from support.gate import close_gate, confirmation
from support.links import through
from support.offices import CENTRE, SETTLE_SECONDS, SHANDONG, Desks, at_work
from support.proxy import Proxy
from support.registers import make_register
from support.topics import delete_topic, make_topic
from support.web import client_of, post
from support.world import (
    count,
    do,
    event,
    eventually,
    raw,
    receive,
    register,
    rows,
    running,
    send,
)

from node.kafka.topic_names import own_topic, uplink
from node.localstack import LocalStack
from node.recovery import own_topics
from node.runtime.settings import Settings
from node.store.command_gate import Confirmation, NotConfirmed
from producers.relay.relay import Relay
from producers.routines.identify_repeats import Identifying

REGISTER = {"command": "register", "title": "供暖不足", "channel": "web"}
LOST = "370000-20260401-7K3M9QXA"


def published_and_lost(settings: Settings) -> None:
    """Make an own event that is on the own topic and nowhere in the database."""
    send(settings, uplink(SHANDONG), [raw(event(LOST, emitter=SHANDONG))])


def test_a_database_that_was_put_back_takes_commands_when_its_own_events_are_home(
    desks: Desks, stack: LocalStack
) -> None:
    """docs/faults.md 38. Seen failing without the gate: the sequence number of a lost event came
    twice."""
    *_, shandong = desks
    backup = Backup(stack, shandong.settings)
    published_and_lost(shandong.settings)
    backup.put_back()
    assert confirmation(shandong.settings) is Confirmation.OTHER
    with pytest.raises(NotConfirmed):
        register(shandong.settings)
    with running(Relay(*shandong, SETTLE_SECONDS), shandong.metrics):
        eventually(
            lambda: confirmation(shandong.settings) is Confirmation.CONFIRMED,
            "commands are taken again",
        )
    done = do(shandong.settings, "accept", case_id=LOST)
    assert (done.event.version, done.event.emitter_sequence) == (2, 2)


def test_a_command_is_refused_before_it_is_judged_by_a_database_that_lacks_its_case(
    desks: Desks,
) -> None:
    """Seen failing with the gate in `record` alone: a rule refuses it, and the answer is kept."""
    *_, shandong = desks
    close_gate(shandong.settings)
    with pytest.raises(NotConfirmed):
        do(shandong.settings, "accept", case_id=LOST)


def test_whoever_would_emit_an_event_is_refused_in_one_clear_word(
    desks: Desks, tmp_path: Path
) -> None:
    """docs/faults.md 38. The own topic has records: what may be on its way is waited for first."""
    *_, shandong = desks
    published_and_lost(shandong.settings)
    close_gate(shandong.settings)
    environment = as_environment(shandong.settings)
    line = '{"command": "register", "title": "供暖不足", "channel": "web"}'
    file = make_register(tmp_path / "register.csv", 2).path
    for done in (
        petitionlink("command", "-", stdin=line, settings=environment),
        petitionlink("import", file, settings=environment),
    ):
        *_, said = done.err.strip().splitlines()  # the line before tells what came home
        assert (done.code, said[:6]) == (1, "error:")
        assert f"from topic {uplink(SHANDONG)}" in said
        assert "takes no commands yet" in said
    with client_of(shandong.settings) as client:
        answer = post(client, REGISTER, key="k")
        assert (answer.status_code, answer.json()["rule"]) == (503, "not_confirmed")
        assert int(answer.headers["Retry-After"]) > 0
        assert client.get("/v1/status").json()["takes_commands"] is False
        # The commands read the own topic: what was lost is home. Only the wait is left.
        assert rows(shandong.settings, "select case_id from case_event") == [(LOST,)]
        assert own_topics.confirm(shandong.settings, settle_seconds=0) == 0
        assert post(client, REGISTER, key="k").status_code == 201
    assert count(shandong.settings, "petition_case") == 2


def test_a_routine_that_finds_the_gate_closed_waits_and_emits_nothing(
    desks: Desks, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen failing with the gate in `handle` alone: the centre's routine emits its events."""
    centre, *_ = desks
    receive(centre.settings, event("110000-20260401-7K3M9QXA"))
    close_gate(centre.settings)
    routine = Identifying(centre.settings)
    with running(routine, centre.metrics) as ended:
        eventually(lambda: "takes no commands yet" in caplog.text, "it is refused")
        assert count(centre.settings, "case_event") == 1
        with at_work(centre, which=lambda desk: [Relay(*desk, SETTLE_SECONDS)]):
            eventually(lambda: count(centre.settings, "case_event") == 2, "it has found it")
        assert ended == []


def test_while_kafka_is_away_only_the_database_that_was_confirmed_last_takes_commands(
    desks: Desks, kafka_link: Proxy
) -> None:
    """docs/faults.md 8. Postgres was started again, perhaps on older files, and nobody can be
    asked."""
    *_, shandong = desks
    settings = through(shandong.settings, kafka=kafka_link)
    close_gate(settings, "confirmed_start", "2026-01-01")
    assert confirmation(settings) is Confirmation.RESTARTED
    with pytest.raises(NotConfirmed):
        register(settings)
    kafka_link.down()
    with running(Relay(settings, shandong.metrics, SETTLE_SECONDS), shandong.metrics):
        eventually(lambda: confirmation(settings) is Confirmation.TRUSTED, "it is trusted")
        register(settings)
        kafka_link.up()
        eventually(lambda: confirmation(settings) is Confirmation.CONFIRMED, "it was read")
    kafka_link.down()
    close_gate(settings)
    said = refused(
        petitionlink("command", "-", stdin="{}", settings=as_environment(settings)),
    )
    assert "takes no commands yet" in said
    assert confirmation(settings) is Confirmation.OTHER


def test_what_may_still_be_on_its_way_from_the_lost_database_is_waited_for(
    desks: Desks, stack: LocalStack
) -> None:
    """A producer delivers for 30 s. Seen failing with the wait taken out: opened at once."""
    *_, shandong = desks
    delete_topic(stack, uplink(SHANDONG))
    make_topic(stack, uplink(SHANDONG))
    close_gate(shandong.settings)
    assert own_topics.confirm(shandong.settings) == 0  # nothing was ever published
    published_and_lost(shandong.settings)
    close_gate(shandong.settings)
    assert 0 < own_topics.confirm(shandong.settings) <= own_topics.SETTLE_SECONDS
    assert confirmation(shandong.settings) is Confirmation.OTHER
    assert count(shandong.settings, "case_event") == 1


def test_a_node_without_its_own_topic_takes_no_commands_and_names_the_topic(
    desks: Desks, stack: LocalStack
) -> None:
    centre, *_ = desks
    delete_topic(stack, own_topic(CENTRE))
    close_gate(centre.settings)
    said = refused(
        petitionlink("command", "-", stdin="{}", settings=as_environment(centre.settings))
    )
    assert said == "topic petition.own.000000 is missing: run `petitionlink topics apply`"
