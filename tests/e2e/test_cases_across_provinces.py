"""Cases that travel between four nodes, each a process of its own, by the real command line."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from support.cli import petitionlink
from support.ledgers import (
    assert_sound,
    await_settled,
    empty_groups,
    event_count,
    events,
    folds,
    forget_everything,
    query,
    records,
)
from support.processes import running_nodes
from support.world import eventually

from node.kafka.topic_names import downlink, own_topic, uplink
from node.localstack import LocalStack

CENTRE, BEIJING, SHANDONG, CORPS = NODES = ("000000", "110000", "370000", "660000")
_PETITIONER = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}
_OUTBOX = "select count(*) from outbox where case_id = %s and topic = %s"

Raw = tuple[bytes, bytes, list[tuple[str, bytes]]]


class Travelled(NamedTuple):
    """The running network and two cases that have travelled through it."""

    stack: LocalStack
    closed_elsewhere: str
    passed_on: str


@pytest.fixture(scope="module")
def travelled(stack: LocalStack) -> Iterator[Travelled]:
    """Four nodes run; one case was closed in Shandong, one passed on from there to the Corps."""
    empty_groups(stack)
    forget_everything(stack)
    with running_nodes(stack, *NODES):
        first, second = _registered("欠薪问题"), _registered("团场水费问题")
        for case_id in (first, second):
            _await_state(CENTRE, case_id, "registered")
            _await_finding(case_id)
        _do(CENTRE, *[("assign", case_id, {"to": SHANDONG}) for case_id in (first, second)])
        for case_id in (first, second):
            _await_state(SHANDONG, case_id, "assigned")
        handled: list[tuple[str, dict[str, Any]]] = [
            ("land", {"unit": "示例单位"}),
            ("accept", {"unit": "示例单位", "procedure": "ordinary"}),
            ("decide", {"outcome": "supported", "opinion": "诉求合理,予以支持(虚构)。"}),
            ("serve", {"method": "online"}),
            ("close", {}),
        ]
        lines = [(name, first, given) for name, given in handled]
        _do(SHANDONG, *lines, ("land", second, {"unit": "示例单位"}))
        _await_state(CENTRE, second, "landed")
        _do(CENTRE, ("assign", second, {"to": CORPS, "requirement": "属兵团管辖"}))
        _await_state(CORPS, second, "assigned")
        _do(CORPS, ("land", second, {"unit": "示例师"}))
        await_settled(stack)
        yield Travelled(stack, first, second)


def _registered(title: str) -> str:
    line = {"command": "register", "channel": "web", "title": title, "petitioner": _PETITIONER}
    done = petitionlink("command", "-", "--node", BEIJING, stdin=json.dumps(line))
    (result,) = done.lines()
    assert done.code == 0, done
    return str(result["case_id"])


def _do(node: str, *commands: tuple[str, str, dict[str, Any]]) -> None:
    lines = [{"command": name, "case_id": case_id, **given} for name, case_id, given in commands]
    done = petitionlink("command", "-", "--node", node, stdin="\n".join(map(json.dumps, lines)))
    assert done.code == 0, done
    assert [result["ok"] for result in done.lines()] == [True] * len(lines)


def _await_state(node: str, case_id: str, state: str) -> None:
    text = "select state from petition_case where case_id = %s"
    eventually(lambda: query(node, text, case_id) == [(state,)], f"{case_id} {state} at {node}")


def _await_finding(case_id: str) -> None:
    """Wait until the centre has found it to be a first, so that the order of events is always the
    same."""
    text = "select finding from petition_case where case_id = %s"
    eventually(lambda: query(CENTRE, text, case_id) == [("first",)], f"{case_id} is identified")


def _records(node: str, topic: str, case_id: str) -> list[Raw]:
    """Return the case's records on a topic, in their order there."""
    mine = [record for record in records(node, topic) if record.key == case_id.encode()]
    return [(record.key, record.value, [*record.headers]) for record in mine]


def test_registrar_centre_and_handler_show_the_same_state_and_fold(travelled: Travelled) -> None:
    for case_id, state in ((travelled.closed_elsewhere, "closed"), (travelled.passed_on, "landed")):
        shown = [_shown(node, case_id) for node in (CENTRE, BEIJING, SHANDONG)]
        assert shown[0]["state"] == state
        assert shown[0] == shown[1] == shown[2]
        one = [folds(node, [case_id]) for node in (CENTRE, BEIJING, SHANDONG)]
        assert one[0] == one[1] == one[2] != {}


def _shown(node: str, case_id: str) -> Any:
    data = petitionlink("case", "show", case_id, "--node", node, "--format", "json").json()
    assert data["node"] == node
    return data["case"]


def test_registrar_centre_and_handler_hold_the_same_events_byte_for_byte(
    travelled: Travelled,
) -> None:
    case_id = travelled.closed_elsewhere
    held = [events(node, [case_id]) for node in (CENTRE, BEIJING, SHANDONG)]
    assert len(held[0]) == 8
    assert held[0] == held[1] == held[2]


def test_the_corps_has_nothing_of_a_case_it_has_no_part_in(travelled: Travelled) -> None:
    case_id = travelled.closed_elsewhere
    assert events(CORPS, [case_id]) == folds(CORPS, [case_id]) == {}
    assert query(CENTRE, _OUTBOX, case_id, downlink(CORPS)) == [(0,)]
    assert all(key != case_id.encode() for key, _, _ in _records(CENTRE, downlink(CORPS), case_id))
    done = petitionlink("case", "show", case_id, "--node", CORPS)
    assert done.code == 1
    assert "unknown to this node" in done.err


def test_the_centre_passes_on_key_value_and_headers_as_they_came(travelled: Travelled) -> None:
    case_id = travelled.closed_elsewhere
    from_beijing = _records(BEIJING, uplink(BEIJING), case_id)
    from_shandong = _records(SHANDONG, uplink(SHANDONG), case_id)
    to_beijing = _records(CENTRE, downlink(BEIJING), case_id)
    to_shandong = _records(CENTRE, downlink(SHANDONG), case_id)
    assert (len(from_beijing), len(from_shandong)) == (1, 5)
    registered, identified, assigned = to_shandong
    assert [registered] == from_beijing
    assert to_beijing == [identified, assigned, *from_shandong]


def test_nobody_is_sent_an_event_of_its_own(travelled: Travelled) -> None:
    for node in (BEIJING, SHANDONG, CORPS):
        text = """select count(*) from outbox join case_event using (event_id)
                  where topic = %s and emitter = %s"""
        assert query(CENTRE, text, downlink(node), node) == [(0,)]


def test_a_node_that_joins_late_first_gets_the_whole_history_in_fold_order(
    travelled: Travelled,
) -> None:
    case_id = travelled.passed_on
    order = "select event_id::text from case_event where case_id = %s order by version, emitter"
    whole = [event_id for (event_id,) in query(CENTRE, order, case_id)]
    own = [event_id for (event_id,) in query(CORPS, order, case_id)][-1:]
    sent = [
        dict(headers)["ce_id"].decode()
        for _, _, headers in _records(CENTRE, downlink(CORPS), case_id)
    ]
    assert len(whole) == 6
    assert sent + own == whole
    assert folds(CORPS, [case_id]) == folds(CENTRE, [case_id])
    ((incomplete, conflicts),) = query(
        CORPS, "select incomplete, conflicts from petition_case where case_id = %s", case_id
    )
    assert (incomplete, conflicts) == (False, 0)


def test_a_node_that_passed_a_case_on_still_follows_it(travelled: Travelled) -> None:
    case_id = travelled.passed_on
    assert events(SHANDONG, [case_id]) == events(CENTRE, [case_id])
    assert _shown(SHANDONG, case_id)["handled_by"] == CORPS


def test_the_new_handler_can_open_the_petitioner_and_nobody_sees_it_in_the_clear(
    travelled: Travelled,
) -> None:
    for node in NODES:
        found = query(node, "select value from case_event")
        assert found
        for (value,) in found:
            assert _PETITIONER["name"].encode() not in bytes(value)
            assert _PETITIONER["id_number"].encode() not in bytes(value)
    text = "select body -> 'petitioner_keys' from case_event where event_type like '%%assigned%%'"
    keys = [key["node"] for (several,) in query(CORPS, text) for key in several]
    assert keys == [SHANDONG, CORPS]


def test_the_trace_names_every_hop_at_every_participant(travelled: Travelled) -> None:
    case_id = travelled.closed_elsewhere
    arguments = ("case", "trace", case_id, "--node", BEIJING, "--format", "json")
    hops = petitionlink(*arguments).json()["hops"]
    for event_id in events(CENTRE, [case_id]):
        mine = [hop for hop in hops if hop["event_id"] == event_id]
        (emitter,) = {hop["emitter"] for hop in mine}
        by_kind = {
            kind: {hop["node"] for hop in mine if hop["hop"] == kind}
            for kind in ("emitted", "published", "applied", "pending")
        }
        others = {CENTRE, BEIJING, SHANDONG} - {emitter}
        # The centre publishes onward to everybody but the emitter; a province to the centre.
        publishers = {emitter, CENTRE}
        assert by_kind == {
            "emitted": {emitter}, "published": publishers, "applied": others, "pending": set()
        }  # fmt: skip


def test_every_applied_hop_is_the_place_where_somebody_published(travelled: Travelled) -> None:
    case_id = travelled.closed_elsewhere
    arguments = ("case", "trace", case_id, "--node", CENTRE, "--format", "json")
    hops = petitionlink(*arguments).json()["hops"]
    published, applied = (
        {
            (hop["event_id"], hop["topic"], hop["partition"], hop["offset"])
            for hop in hops
            if hop["hop"] == kind
        }
        for kind in ("published", "applied")
    )
    assert None not in {part for place in published for part in place}
    # The centre's own topic is read by nobody but itself, when it recovers.
    sent = {place for place in published if place[1] != own_topic(CENTRE)}
    assert sent == applied
    assert all(hop["at"] for hop in hops)


def test_the_oracle_finds_the_four_nodes_sound(travelled: Travelled) -> None:
    assert_sound(travelled.stack)
    assert [event_count(node) for node in NODES] == [12, 12, 12, 5]
