"""docs/faults.md 19: events for another province, and events of long ago."""

from collections.abc import Callable

from support.offices import CENTRE, SHANDONG, Desk
from support.world import count, event, eventually, raw, rows, running, sample, send

from cases.vocabulary import event_types as types
from consumers.consumer import Consumer
from node.kafka.topic_names import downlink
from node.localstack import LocalStack
from node.queries.database_gauges import Observer
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

CASE = "110000-20260401-7K3M9QXA"
LONG_AGO = 1_112_313_600_000_000  # 2005-04-01, before any rule set of ours


def test_a_case_for_another_province_is_kept_and_tells_by_a_metric(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    """The first event of a history names no participant yet, so it cannot be refused; a case that
    stays without us is an alarm. Seen failing with `not participants @> …` taken for true."""
    shandong = Desk(fresh_settings(SHANDONG), Metrics())
    ours = event(CASE, 2, CENTRE, type_=types.ASSIGNED, emitter_sequence=1, body={"to": SHANDONG})
    with running(Consumer(*shandong), shandong.metrics):
        send(shandong.settings, downlink(SHANDONG), [raw(event(CASE)), raw(event(f"{CASE}B"))])
        eventually(lambda: count(shandong.settings, "case_event") == 2, "both are kept")
        with running(Observer(*shandong), shandong.metrics):
            eventually(lambda: without_part(shandong) == 2, "neither is ours")
        send(shandong.settings, downlink(SHANDONG), [raw(ours)])
        eventually(lambda: count(shandong.settings, "case_event") == 3, "one becomes ours")
        with running(Observer(*shandong), shandong.metrics):
            eventually(lambda: without_part(shandong) == 1, "the other never does")
    assert count(shandong.settings, "dead_letter") == 0


def without_part(desk: Desk) -> float:
    return sample(desk.metrics, "cases_without_part")


def test_a_replay_from_long_ago_is_a_duplicate(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    """Seen failing with `on conflict (event_id)` taken out of the ledger's insert."""
    shandong = Desk(fresh_settings(SHANDONG), Metrics())
    old = raw(event(CASE, recorded_at=LONG_AGO, occurred_at=LONG_AGO))
    with running(Consumer(*shandong), shandong.metrics):
        send(shandong.settings, downlink(SHANDONG), [old, raw(event(f"{CASE}B"))])
        eventually(lambda: count(shandong.settings, "case_event") == 2, "both are applied")
        before = rows(shandong.settings, "select case_id, fold::text from petition_case order by 1")
        send(shandong.settings, downlink(SHANDONG), [old] * 3)
        eventually(lambda: duplicates(shandong) == 3, "the replay is counted")
    assert before == rows(
        shandong.settings, "select case_id, fold::text from petition_case order by 1"
    )


def duplicates(desk: Desk) -> float:
    return sample(
        desk.metrics, "consumer_records_total", topic=downlink(SHANDONG), result="duplicate"
    )
