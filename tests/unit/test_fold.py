"""The fold: pure, total, the same for any order and any repetition of a set of events."""

from functools import cache
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.givens import CASES
from support.walks import Walk

from cases.case import Case, Gap, State
from cases.fold import continues, extend, fold
from cases.vocabulary import event_types as types
from schemas.event import Event

CASE = "110000-20260401-7K3M9QXA"
BEIJING, SHANDONG, CENTRE = "110000", "370000", "000000"


def event(type_: str, version: int, emitter: str, sequence: int, **body: object) -> Event:
    """Return an event as the fold sees it; its id follows from its place, so that sets are sets."""
    event_id = f"01900000-0000-7000-8000-{version:04d}{emitter}{sequence:02d}"
    return Event(
        *(type_, event_id, CASE, version, emitter, sequence, 1000 + version, 2000 + version),
        *("desk", "XF2022", body, b"", ""),
    )


WHOLE_LIFE = [
    event(types.REGISTERED, 1, BEIJING, 1, title="欠薪", channel="web"),
    event(types.ASSIGNED, 2, CENTRE, 1, to=SHANDONG),
    event(types.LANDED, 3, SHANDONG, 1),
    event(types.ACCEPTED, 4, SHANDONG, 2),
    event(types.DECIDED, 5, SHANDONG, 3, outcome="supported"),
    event(types.SERVED, 6, SHANDONG, 4),
    event(types.CLOSED, 7, SHANDONG, 5),
    event(types.EVALUATED, 8, BEIJING, 2, object="unit", satisfaction="satisfied"),
]


def test_a_whole_life_ends_closed_and_evaluated() -> None:
    case = fold(CASE, WHOLE_LIFE)
    assert case.state == State.CLOSED
    assert (case.registered_by, case.handled_by) == (BEIJING, SHANDONG)
    assert case.participants == [BEIJING, SHANDONG]
    assert case.outcome == "supported"
    assert case.evaluations == {"unit": "satisfied"}
    assert case.milestones[State.ACCEPTED] == 1004
    assert not case.conflicts
    assert not case.incomplete


ANY_TYPE = st.sampled_from(
    [
        *(types.REGISTERED, types.FORWARDED, types.ASSIGNED, types.COPIED, types.LANDED),
        *(types.ACCEPTED, types.DECIDED, types.SERVED, types.CLOSED, types.EVALUATED),
        *("petition.case.merged.v1", "petition.case.dreamt_of.v7"),
    ]
)
ANY_EVENT = st.builds(
    lambda type_, version, emitter, sequence, to: event(
        type_, version, emitter, sequence, to=to, outcome="explained", object="unit"
    ),
    ANY_TYPE,
    st.integers(1, 12),
    st.sampled_from([BEIJING, SHANDONG, CENTRE]),
    st.integers(1, 6),
    st.sampled_from([BEIJING, SHANDONG, CENTRE, "999999"]),
)


@given(st.lists(ANY_EVENT, max_size=12), st.data())
def test_any_permutation_and_repetition_folds_to_the_same_case(
    events: list[Event], data: st.DataObject
) -> None:
    events = list({one.event_id: one for one in events}.values())
    repeated = [*events, *data.draw(st.lists(st.sampled_from(events)) if events else st.just([]))]
    assert fold(CASE, data.draw(st.permutations(repeated))) == fold(CASE, events)


@given(st.lists(ANY_EVENT, max_size=12), st.integers(0, 12))
def test_folding_on_from_a_stored_case_is_folding_from_the_start(
    events: list[Event], cut: int
) -> None:
    unique = {one.event_id: one for one in events}.values()
    ordered = sorted(unique, key=lambda one: (one.version, one.emitter, one.event_id))
    before = Case.from_json(fold(CASE, ordered[:cut]).to_json())
    untouched = before.copy()
    assert extend(before, ordered[cut:]) == fold(CASE, ordered)
    assert before == untouched


@given(st.lists(ANY_EVENT, max_size=12))
def test_every_event_is_effect_or_conflict_and_participants_are_nodes(events: list[Event]) -> None:
    case = fold(CASE, events)
    assert set(case.participants) <= {BEIJING, SHANDONG, CENTRE}
    assert {conflict.event_id for conflict in case.conflicts} <= {one.event_id for one in events}
    assert case.version == max((one.version for one in events), default=0)


def test_a_late_event_does_not_continue_the_case() -> None:
    case = fold(CASE, [WHOLE_LIFE[0], WHOLE_LIFE[2]])
    assert not continues(case, [WHOLE_LIFE[1]])
    assert continues(case, [WHOLE_LIFE[3]])


def test_a_gap_names_the_emitter_and_the_missing_numbers() -> None:
    case = fold(CASE, [WHOLE_LIFE[0], WHOLE_LIFE[1], WHOLE_LIFE[5]])
    assert case.gaps == [Gap(SHANDONG, 1, 3)]
    assert case.incomplete
    assert fold(CASE, WHOLE_LIFE[:6]).gaps == []


def test_an_event_before_its_registration_leaves_the_case_unknown_and_incomplete() -> None:
    case = fold(CASE, [WHOLE_LIFE[2]])
    assert case.state == State.UNKNOWN
    assert case.incomplete
    assert [conflict.rule for conflict in case.conflicts] == ["not_registered"]


def test_an_illegal_event_is_marked_and_changes_nothing_else() -> None:
    by_a_stranger = event(types.ACCEPTED, 4, BEIJING, 2)
    case = fold(CASE, [*WHOLE_LIFE[:3], by_a_stranger])
    assert case.state == State.LANDED
    assert [(c.event_id, c.rule) for c in case.conflicts] == [
        (by_a_stranger.event_id, "not_responsible")
    ]


def test_two_events_with_one_number_of_one_emitter_conflict() -> None:
    again = event(types.ASSIGNED, 3, CENTRE, 1, to=BEIJING)
    case = fold(CASE, [*WHOLE_LIFE[:2], again])
    assert case.handled_by == SHANDONG
    assert [conflict.rule for conflict in case.conflicts] == ["sequence_repeated"]


def test_an_unknown_type_is_neither_lost_nor_a_conflict() -> None:
    case = fold(CASE, [WHOLE_LIFE[0], event("petition.case.dreamt_of.v7", 2, BEIJING, 2)])
    assert (case.state, case.version, case.conflicts) == (State.REGISTERED, 2, [])


def test_an_illegal_handover_gives_nobody_a_part() -> None:
    case = fold(CASE, [WHOLE_LIFE[0], event(types.FORWARDED, 2, SHANDONG, 1, to=SHANDONG)])
    assert case.participants == [BEIJING]


def test_a_rule_set_of_a_later_release_does_not_stop_the_fold() -> None:
    life = [one._replace(rule_set="XF2040") for one in WHOLE_LIFE[:3]]
    objected = event(types.OBJECTED, 4, SHANDONG, 2, to=CENTRE, reasons="无管辖权")
    corrected = event(
        *(types.CORRECTED, 5, BEIJING, 2),
        corrections=[{"field": "petition_class", "value": "suggestion"}],
    )
    case = fold(CASE, [*life, objected, corrected])
    assert (case.state, case.rule_set, case.conflicts) == (State.OBJECTED, "XF2040", [])


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_the_fold_is_total_over_bodies_that_lack_anything(chance: Random, seed: int) -> None:
    for one in mutilated(lives()[seed % len(lives())], chance):
        fold(CASE, one)


@cache
def lives() -> list[list[Event]]:
    """Return some long histories."""
    walks = [Walk(Random(seed)) for seed in range(8)]
    for walk in walks:
        walk.run(50)
    return [walk.universe.centre.events(CASES[0]) for walk in walks]


def mutilated(events: list[Event], chance: Random) -> list[list[Event]]:
    """Return the events as another release might send them: without a field, or with null in it."""
    several = []
    for field in {name for one in events for name in one.body}:
        lacks = chance.randrange(2)
        kept = {} if lacks else {field: None}
        several.append(
            [
                one._replace(body={**{k: v for k, v in one.body.items() if k != field}, **kept})
                if field in one.body
                else one
                for one in events
            ]
        )
    return several
