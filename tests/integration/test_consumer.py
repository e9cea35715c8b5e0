"""The consumer on real Kafka and Postgres: what arrives, and what becomes of it."""

from collections.abc import Callable
from typing import Any

import pytest
from support.consuming import CASE, SHANDONG, TOPIC, applied, position, start
from support.world import (
    count,
    event,
    eventually,
    raw,
    read_topic,
    register,
    rows,
    sample,
    send,
)

from cases.vocabulary import event_types as types
from consumers import decode
from node.kafka.topic_names import dead_letter, uplink
from node.localstack import LocalStack
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings


def test_a_new_group_reads_from_the_beginning_and_notes_the_offset_with_the_rows(
    province_with_topics: Settings, base: int
) -> None:
    send(province_with_topics, TOPIC, [raw(event(f"{CASE}{n}")) for n in range(5)])
    with start(province_with_topics, Metrics()):
        applied(province_with_topics, 5)
    assert position(province_with_topics) == base + 5
    assert count(province_with_topics, "petition_case") == 5


def test_poison_is_dead_lettered_with_its_bytes_and_reason_and_the_next_record_is_applied(
    province_with_topics: Settings,
) -> None:
    good = event(CASE)
    key, value, headers = raw(good)
    assert value is not None
    poison = [
        ("empty", (key, b"", headers)),
        ("too_short", (key, b"\x00\x00\x00\x00", headers)),
        ("wrong_magic", (key, b"\x01" + value[1:], headers)),
        ("unknown_schema", (key, b"\x00\x00\x00\xff\xff" + value[5:], headers)),
        ("malformed", (key, value[:40], headers)),
        ("trailing_bytes", (key, value + b"\x00", headers)),
        ("wrong_headers", (b"another-case", value, headers)),
        ("invalid_text", raw(with_nul())),
        ("too_large", (key, b"\x00" * 1_048_000, [])),
    ]
    send(province_with_topics, TOPIC, [*(one for _, one in poison), (key, value, headers)])
    metrics = Metrics()
    with start(province_with_topics, metrics):
        applied(province_with_topics, 1)
    kept = rows(
        province_with_topics, 'select reason, record_key, value from dead_letter order by "offset"'
    )
    assert [(r, bytes(k), bytes(v)) for r, k, v in kept] == [
        (reason, key_, value_) for reason, (key_, value_, _) in poison
    ]
    on_topic = read_topic(province_with_topics, dead_letter(SHANDONG), len(poison))
    told = {dict(r.headers)["petitionlink-reason"].decode(): r.value for r in on_topic}
    assert told == {reason: value_ for reason, (_, value_, _) in poison}
    assert sample(metrics, "consumer_records_total", topic=TOPIC, result="dead_letter") == 9
    assert sample(metrics, "consumer_records_total", topic=TOPIC, result="applied") == 1


def test_a_header_whose_name_is_no_text_is_poison_and_the_next_record_is_applied(
    province_with_topics: Settings,
) -> None:
    """docs/faults.md 15. Seen failing without `_read_record`: `poll()` raises for ever."""
    key, value, headers = raw(event(CASE))
    send_with_header(province_with_topics, key, value, b"\xff\xfe")
    send(province_with_topics, TOPIC, [(key, value, headers)])
    with start(province_with_topics, Metrics()):
        applied(province_with_topics, 1)
    assert rows(province_with_topics, "select reason from dead_letter") == [("wrong_headers",)]


def send_with_header(
    settings: Settings, key: bytes | None, value: bytes | None, name: bytes
) -> None:
    """Send a record with a header of this name, which no client of ours would write."""

    class Name(str):
        def encode(self, *_: Any) -> bytes:
            return name

    send(settings, TOPIC, [(key, value, [(Name("x"), b"")])])


def with_nul() -> Any:
    """Return a valid record with NUL in its text, which no writer of ours would make."""
    one = event(CASE, body={"title": "a?b", "channel": "web", "received_at": 0})
    return one._replace(value=one.value.replace(b"a?b", b"a\0b"))


def test_what_only_postgres_refuses_is_found_by_halving(
    province_with_topics: Settings, base: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "_has_nul", lambda value: False)  # our own check taken out
    good = [raw(event(f"{CASE}{n}")) for n in range(6)]
    send(province_with_topics, TOPIC, [*good[:3], raw(with_nul()), *good[3:]])
    with start(province_with_topics, Metrics()):
        applied(province_with_topics, 6)
    assert rows(province_with_topics, 'select reason, "offset" from dead_letter') == [
        ("refused_by_database", base + 3)
    ]
    assert position(province_with_topics) == base + 7


def test_a_record_that_comes_twice_is_in_the_ledger_once_and_counted(
    province_with_topics: Settings, base: int
) -> None:
    again = raw(event(CASE))
    send(province_with_topics, TOPIC, [again, again])
    metrics = Metrics()
    with start(province_with_topics, metrics):
        eventually(lambda: position(province_with_topics) == base + 2, "both records are passed")
    assert count(province_with_topics, "case_event") == 1
    assert sample(metrics, "consumer_records_total", topic=TOPIC, result="duplicate") == 1


def test_a_late_event_is_put_in_its_place(province_with_topics: Settings) -> None:
    registered = event(CASE)
    assigned = event(CASE, 2, "000000", type_=types.ASSIGNED, emitter_sequence=1,
                     body={"to": SHANDONG})  # fmt: skip
    landed = event(CASE, 3, SHANDONG, type_=types.LANDED, emitter_sequence=1, body={})
    with start(province_with_topics, Metrics()):
        send(province_with_topics, TOPIC, [raw(registered), raw(landed)])
        applied(province_with_topics, 2)
        assert state(province_with_topics) == [("registered", 1, False)]
        send(province_with_topics, TOPIC, [raw(assigned)])
        applied(province_with_topics, 3)
    assert state(province_with_topics) == [("landed", 0, False)]


def state(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(settings, "select state, conflicts, incomplete from petition_case")


def test_a_case_with_a_missing_event_says_which(province_with_topics: Settings) -> None:
    send(province_with_topics, TOPIC, [raw(event(CASE, 3))])
    with start(province_with_topics, Metrics()):
        applied(province_with_topics, 1)
    assert rows(province_with_topics, "select incomplete, fold -> 'gaps' from petition_case") == [
        (True, [["110000", 1, 2]])
    ]


def test_a_type_from_a_newer_release_is_kept_whole(province_with_topics: Settings) -> None:
    one = event(CASE)
    headers = [(n, b"petition.case.dreamt_of.v1" if n == "ce_type" else v) for n, v in raw(one)[2]]
    value = b"\x00\x00\x00\x7f\x01" + one.value[5:] + b"more"
    send(province_with_topics, TOPIC, [raw(event(f"{CASE}0")), (one.key, value, headers)])
    with start(province_with_topics, Metrics()):
        applied(province_with_topics, 2)
    kept = rows(
        province_with_topics,
        "select value, extra_headers from case_event where event_type like '%%dreamt%%'",
    )
    assert bytes(kept[0][0]) == value
    assert [name for name, _ in kept[0][1]] == [name for name, _ in headers]
    assert count(province_with_topics, "dead_letter") == 0


def test_an_event_on_a_strange_uplink_is_refused(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    centre = fresh_settings("000000")
    send(centre, uplink("660000"), [raw(event(CASE, emitter="110000"))])
    with start(centre, Metrics()):
        eventually(lambda: count(centre, "dead_letter") == 1, "a dead letter")
    assert rows(centre, "select reason from dead_letter") == [("wrong_emitter",)]
    assert count(centre, "case_event") == 0


def test_the_centre_sends_a_new_participant_the_whole_history_byte_for_byte(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    centre = fresh_settings("000000")
    first = event(CASE)
    copied = event(CASE, 2, type_=types.COPIED, body={"to": SHANDONG})
    noted = event(CASE, 3, type_="petition.case.progressed.v1", body={"progress": "…"})
    with start(centre, Metrics()):
        send(centre, uplink("110000"), [raw(first), raw(copied)])
        applied(centre, 2)
        send(centre, uplink("110000"), [raw(noted)])
        applied(centre, 3)
    owed = rows(
        centre,
        "select topic, event_id::text, value from outbox join case_event using (event_id) "
        "order by id",
    )
    assert [(topic, event_id, bytes(value)) for topic, event_id, value in owed] == [
        (TOPIC, one.event_id, one.value) for one in (first, copied, noted)
    ]


def test_own_cases_of_a_province_are_not_sent_back_to_it(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    centre = fresh_settings("000000")
    send(centre, uplink("110000"), [raw(event(CASE)), raw(event(CASE, 2, body={"title": "x",
         "channel": "web", "received_at": 0}))])  # fmt: skip
    with start(centre, Metrics()):
        applied(centre, 2)
    assert count(centre, "outbox") == 0
    assert register(centre)
