"""The router as the second guard, on a real database: what a producer let pass by mistake."""

import pytest
from support.world import do, event, receive, rows

from cases.errors import Refusal
from cases.vocabulary import event_types as types
from node.runtime.settings import Settings
from schemas.event import Event

CASE = "110000-20260401-7K3M9QXA"
BEIJING, SHANDONG, CORPS = "110000", "370000", "660000"
BODY = {"title": "检举", "channel": "letter", "received_at": 1_767_225_600_000_000}


def owed(settings: Settings) -> list[tuple[str, int]]:
    """Return to whom the centre owes which version, in order."""
    query = "select right(topic, 6), version from outbox join case_event using (event_id)"
    return rows(settings, f"{query} order by outbox.id")


def forged(version: int, type_: str, emitter: str = BEIJING, **body: object) -> Event:
    """Return an event of a producer that skipped the guard."""
    return event(CASE, version, emitter, type_=type_, emitter_sequence=version, body=body)


def corrected(version: int, field: str, value: str) -> Event:
    """Return a correction of one field, from Beijing."""
    corrections = [{"field": field, "value": value}]
    return forged(version, types.CORRECTED, corrections=corrections, reason="更正")


@pytest.mark.parametrize("type_", [types.FORWARDED, types.ASSIGNED, types.COPIED])
@pytest.mark.parametrize("accused", ["370000", "山东省", "山东省信访局"])
def test_a_forged_dispatch_to_the_accused_is_not_passed_on(
    centre: Settings, type_: str, accused: str
) -> None:
    receive(centre, event(CASE, body={**BODY, "accused": [accused]}))
    receive(centre, forged(2, type_, to=SHANDONG))
    receive(centre, forged(3, types.COPIED, to=CORPS))
    assert owed(centre) == [(CORPS, 1), (CORPS, 2), (CORPS, 3)]
    ((handler, conflicts),) = rows(centre, "select handled_by, conflicts from petition_case")
    assert (handler, conflicts) == (BEIJING, 1)


def test_history_and_dispatch_in_one_batch_are_kept_from_the_accused(centre: Settings) -> None:
    registered = event(CASE, body={**BODY, "accused": ["660000"]})
    receive(centre, registered, forged(2, types.FORWARDED, to=CORPS))
    assert owed(centre) == []


def test_once_a_correction_names_the_handler_nothing_more_goes_there(centre: Settings) -> None:
    receive(centre, event(CASE, body=BODY))
    receive(centre, forged(2, types.FORWARDED, to=SHANDONG), forged(3, types.COPIED, to=CORPS))
    receive(centre, corrected(4, "accused", "山东省"), corrected(5, "title", "检举某人"))
    to_shandong = [version for node, version in owed(centre) if node == SHANDONG]
    assert to_shandong == [1, 2, 3]
    assert [version for node, version in owed(centre) if node == CORPS] == [1, 2, 3, 4, 5]
    assert rows(centre, "select state, handled_by from petition_case") == [("returned", "000000")]
    do(centre, "assign", case_id=CASE, to=CORPS)
    assert max(version for node, version in owed(centre) if node == SHANDONG) == 3


def test_a_correction_that_takes_the_accused_back_opens_nothing(centre: Settings) -> None:
    receive(centre, event(CASE, body={**BODY, "accused": ["370000"]}))
    receive(centre, corrected(2, "accused", ""), forged(3, types.FORWARDED, to=SHANDONG))
    assert owed(centre) == []
    rules = rows(centre, "select fold -> 'conflicts' from petition_case")[0][0]
    assert [rule for _, rule in rules] == ["accusation", "accusation"]


def test_the_copy_before_the_accusation_is_the_last_that_a_bystander_gets(centre: Settings) -> None:
    receive(centre, event(CASE, body=BODY), forged(2, types.COPIED, to=CORPS))
    receive(centre, corrected(3, "accused", "新疆生产建设兵团"))
    receive(centre, event(CASE, 4, CORPS, type_=types.COPIED, emitter_sequence=1,
                          body={"to": SHANDONG}))  # fmt: skip
    assert owed(centre) == [(CORPS, 1), (CORPS, 2), (BEIJING, 4)]


@pytest.mark.parametrize("how", ["registered", "corrected"])
def test_what_says_that_it_is_a_state_secret_goes_no_further(centre: Settings, how: str) -> None:
    secret = how == "registered"
    receive(centre, event(CASE, body={**BODY, "confidential": secret}))
    receive(centre, forged(2, types.COPIED, to=CORPS))
    before = owed(centre)
    if not secret:
        receive(centre, corrected(3, "confidential", "true"))
    receive(centre, corrected(4, "title", "机密"))
    assert owed(centre) == before == ([] if secret else [(CORPS, 1), (CORPS, 2)])


def test_a_case_is_merged_only_where_somebody_deals_with_it(centre: Settings) -> None:
    first, second, third = (f"110000-20260401-AAAAAAA{n}" for n in range(3))
    receive(centre, *(event(one, body=BODY) for one in (first, second)))
    receive(centre, event(third, body={**BODY, "accused": ["660000"]}))
    with pytest.raises(Refusal, match="unknown to this node"):
        do(centre, "merge", case_id=first, into="110000-20260401-ZZZZZZZZ")
    do(centre, "merge", case_id=first, into=second)
    with pytest.raises(Refusal, match="nobody would deal with the matter"):
        do(centre, "merge", case_id=second, into=first)
    do(centre, "assign", case_id=second, to=CORPS)
    with pytest.raises(Refusal, match="660000 is accused and has part in"):
        do(centre, "merge", case_id=third, into=second)
