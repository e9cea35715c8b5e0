"""docs/faults.md 4: a connection that is lost in the middle of a batch and exactly at its COMMIT.

The cut is made by a proxy that sees the statement pass: once before Postgres gets it, once after
Postgres has done it and before anybody hears.
"""

import pytest
from support.flows import flowing, live, live_many
from support.ledgers import assert_sound, await_settled
from support.links import Cut, through
from support.proxy import Proxy, Verdict
from support.web import client_of, post
from support.world import count, eventually, rows, sample

from node.keys.office import open_office
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.commands.handle import OutcomeUnknown

COMMIT = b"COMMIT\x00"
MARK = b"execute mark_published"
ADD = b"copy case_event"
NEW = {"command": "register", "title": "供暖不足", "channel": "web"}
BOTH_SIDES = pytest.mark.parametrize("verdict", [Verdict.CUT_BEFORE, Verdict.CUT_AFTER])


def test_a_consumer_cut_off_in_a_batch_asks_what_became_of_it_and_applies_each_event_once(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack, database_link: Proxy
) -> None:
    """docs/faults.md 4. Without taking the positions from Postgres again in `_pause`
    (consumers/session.py) the batch that went through is applied once more and stands as fenced."""
    with flowing(through(new_centre, postgres=database_link), new_shandong) as flow:
        made = live_many(new_shandong, 1)
        await_settled(new_nodes)
        for statement in (ADD, COMMIT):
            for verdict in (Verdict.CUT_BEFORE, Verdict.CUT_AFTER):
                made += cut_off(database_link, statement, verdict, new_shandong)
                await_settled(new_nodes)
    assert count(new_centre, "case_event") == made
    assert sample(flow.applied, "consumer_fenced_transactions_total") == 0
    assert told(flow.applied, "duplicate") == told(flow.applied, "dead_letter") == 0
    assert_sound(new_nodes)


def cut_off(link: Proxy, statement: bytes, verdict: Verdict, new_shandong: Settings) -> int:
    """Events that are cut off at a statement on this link; how many were made."""
    cut = Cut(statement)
    link.watch = cut
    cut.arm(verdict)
    made = live_many(new_shandong, 2)
    eventually(lambda: cut.done == 1, "the connection is cut")
    return made


def told(metrics: Metrics, result: str) -> float:
    """Count the records that ended so at the centre."""
    topic = "petition.uplink.370000"
    return sample(metrics, "consumer_records_total", topic=topic, result=result)


def test_a_relay_cut_off_at_its_mark_sends_again_or_not_and_marks_once(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack, database_link: Proxy
) -> None:
    """docs/faults.md 4. Seen failing with `mark` before `publish`: what was cut off is never
    sent."""
    with flowing(new_centre, through(new_shandong, postgres=database_link)) as flow:
        made = live_many(new_shandong, 1)
        await_settled(new_nodes)
        made += cut_off(database_link, MARK, Verdict.CUT_AFTER, new_shandong)
        await_settled(new_nodes)
        assert told(flow.applied, "duplicate") == 0  # it was marked, and nobody heard
        made += cut_off(database_link, MARK, Verdict.CUT_BEFORE, new_shandong)
        await_settled(new_nodes)
        assert told(flow.applied, "duplicate") > 0
    assert count(new_centre, "case_event") == made
    assert_sound(new_nodes)


@BOTH_SIDES
def test_a_command_cut_off_at_its_commit_is_answered_by_what_became_of_it(
    new_shandong: Settings, database_link: Proxy, verdict: Verdict
) -> None:
    """docs/faults.md 4. Without asking Postgres for the outcome
    (node/entrypoints/web/execute_command.py) a command that was done is answered with "nothing was
    changed"."""
    cut = Cut(COMMIT)
    database_link.watch = cut
    with client_of(through(new_shandong, postgres=database_link)) as client:
        assert post(client, NEW).status_code == 201
        cut.arm(verdict)
        answer = post(client, NEW)
        assert cut.done == 1
    if verdict is Verdict.CUT_AFTER:
        assert answer.status_code == 201
        assert rows(new_shandong, "select case_id from petition_case where case_id = %s",
                    (answer.json()["case_id"],))  # fmt: skip
        assert answer.json()["query_code"]
        assert count(new_shandong, "petition_case") == 2
    else:
        assert answer.status_code == 503
        assert "nothing was changed" in answer.json()["detail"]
        assert count(new_shandong, "petition_case") == 1


def test_a_command_whose_outcome_nobody_can_tell_says_so_and_its_key_tells_later(
    new_shandong: Settings, database_link: Proxy
) -> None:
    """docs/faults.md 4. Seen failing with the answer of every other failure, "nothing was
    changed"."""
    cut = Cut(COMMIT, behind=ADD, then=database_link.down)
    database_link.watch = cut
    with client_of(through(new_shandong, postgres=database_link)) as client:
        assert post(client, NEW).status_code == 201
        cut.arm(Verdict.CUT_AFTER)
        answer = post(client, NEW, key="k-1")
        assert answer.status_code == 503
        assert "not known" in answer.json()["detail"]
        assert "nothing was changed" not in answer.json()["detail"]
        database_link.up()
        eventually(lambda: post(client, NEW, key="k-1").status_code == 201, "the kept answer")
    assert count(new_shandong, "petition_case") == 2


def test_a_desk_cut_off_at_its_commit_is_told_that_the_outcome_is_not_known(
    new_shandong: Settings, database_link: Proxy
) -> None:
    """docs/faults.md 4. `petitionlink command` has no key to send again under: it names the
    event."""
    cut = Cut(COMMIT)
    database_link.watch = cut
    office = open_office(new_shandong)
    with connected(through(new_shandong, postgres=database_link).dsn, "test") as connection:
        live(connection, office, 1)
        cut.arm(Verdict.CUT_AFTER)
        with pytest.raises(OutcomeUnknown) as raised:
            live(connection, office, 1)
    written = rows(new_shandong, "select event_id::text from case_event")
    assert (raised.value.done.event.event_id,) in written
    assert raised.value.done.event.event_id in str(raised.value)
