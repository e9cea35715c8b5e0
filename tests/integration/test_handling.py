"""Commands on a real database: one transaction each, refused before anything exists."""

import threading

import pytest
from support.world import count, do, event, receive, register, rows

from cases.errors import Refusal
from node.kafka.topic_names import uplink
from node.keys.key_ring import load_keys
from node.runtime.settings import Settings
from node.store.events import bytes_of
from schemas.errors import Invalid, PetitionLinkError
from schemas.sealing.sealed_record import unseal

PERSON = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}


def test_event_case_and_outbox_row_are_written_together(beijing: Settings) -> None:
    done = do(beijing, "register", title="供暖不足", channel="web")
    assert rows(beijing, "select state, handled_by from petition_case") == [
        ("registered", "110000")
    ]
    assert rows(beijing, "select topic, event_id::text from outbox") == [
        (uplink("110000"), done.event.event_id)
    ]
    assert rows(beijing, "select value from case_event")[0][0].tobytes() == done.event.value


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("decide", {"outcome": "supported", "opinion": "…"}, "needs it accepted"),
        ("land", {}, "needs it assigned or forwarded"),
        ("assign", {"to": "999999"}, "which is no node"),
        ("assign", {"to": "110000"}, "already with 110000"),
        ("evaluate", {"object": "unit", "satisfaction": "satisfied"}, "it closed or recheck"),
    ],
)
def test_what_the_rules_forbid_is_refused_and_changes_nothing(
    beijing: Settings, name: str, given: dict[str, str], said: str
) -> None:
    case_id = register(beijing)
    with pytest.raises(Refusal, match=said):
        do(beijing, name, case_id=case_id, **given)
    assert count(beijing, "case_event") == count(beijing, "outbox") == 1


def test_a_case_id_that_is_taken_is_refused(beijing: Settings) -> None:
    case_id = register(beijing)
    with pytest.raises(Refusal, match="already registered"):
        register(beijing, case_id=case_id)


def test_confidential_matters_and_the_future_are_refused(beijing: Settings) -> None:
    with pytest.raises(Refusal, match="never travel here"):
        register(beijing, confidential=True)
    with pytest.raises(Refusal, match="in the future"):
        register(beijing, occurred_at="2999-01-01T00:00:00Z")
    with pytest.raises(Invalid, match="text"):
        register(beijing, text="信" * 4001)
    assert count(beijing, "case_event") == 0


def test_many_writers_of_one_case_number_their_events_without_gap_or_repeat(
    beijing: Settings,
) -> None:
    case_id = register(beijing)
    nodes = ["120000", "130000", "140000", "150000", "210000", "220000"]
    writers = [
        threading.Thread(target=do, args=(beijing, "copy"), kwargs={"case_id": case_id, "to": to})
        for to in nodes
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    numbers = rows(beijing, "select emitter_sequence, version from case_event order by 1")
    assert numbers == [(n, n) for n in range(1, 8)]
    (participants,) = rows(beijing, "select participants from petition_case")[0]
    assert sorted(participants) == sorted(["110000", *nodes])


def test_only_the_nodes_that_need_it_can_read_the_petitioner(
    beijing: Settings, centre: Settings
) -> None:
    registered = do(beijing, "register", title="欠薪", channel="web", petitioner=PERSON).event
    receive(centre, registered)
    assigned = do(centre, "assign", case_id=registered.case_id, to="370000").event
    sealed, extra = registered.body["petitioner"], assigned.body["petitioner_keys"]

    def read_at(node: str) -> str:
        pair = load_keys(beijing.key_folder, node).pair
        return unseal(sealed, registered.case_id, pair, extra)["name"]

    assert [read_at(node) for node in ("110000", "000000", "370000")] == ["张示例"] * 3
    with pytest.raises(PetitionLinkError, match="not sealed for node 660000"):
        read_at("660000")


def test_nothing_personal_is_in_the_clear_in_event_or_database(beijing: Settings) -> None:
    one = do(beijing, "register", title="欠薪", channel="web", petitioner=PERSON).event
    assert PERSON["name"].encode() not in one.value
    assert PERSON["id_number"].encode() not in one.value
    stored = rows(beijing, "select case_event::text || petition_case::text "
                  "from case_event join petition_case using (case_id)")  # fmt: skip
    assert PERSON["name"] not in stored[0][0]
    assert PERSON["id_number"] not in stored[0][0]
    (sealed,) = rows(beijing, "select body -> 'petitioner' from case_event")[0]
    pair = load_keys(beijing.key_folder, "110000").pair
    assert unseal(bytes_of(sealed), one.case_id, pair)["id_number"] == PERSON["id_number"]


def test_the_centre_owes_a_new_handler_the_history_and_the_old_ones_the_news(
    centre: Settings,
) -> None:
    case_id = "110000-20260401-7K3M9QXA"
    receive(centre, event(case_id))
    do(centre, "assign", case_id=case_id, to="370000")
    do(centre, "assign", case_id=case_id, to="660000")
    owed = rows(
        centre,
        "select right(topic, 6), version from outbox join case_event using (event_id) "
        "where topic <> 'petition.own.000000' order by id",
    )
    assert sorted(owed) == [
        *(("110000", 2), ("110000", 3)),
        *(("370000", 1), ("370000", 2), ("370000", 3)),
        *(("660000", 1), ("660000", 2), ("660000", 3)),
    ]
    by_node = [version for node, version in owed if node == "660000"]
    assert by_node == [1, 2, 3]
