"""docs/faults.md 16, 17 and 18 on the whole way: sizes, texts and bombs, through real topics."""

import pytest
from kafka import KafkaProducer
from support.bombs import ARRAY_BOMB, TEXT_BOMB
from support.flows import flowing
from support.ledgers import assert_sound, await_settled
from support.processes import Process, forget_peak, resident_bytes
from support.world import (
    WAIT_SECONDS,
    count,
    do,
    event,
    eventually,
    raw,
    register,
    rows,
    running,
    send,
)

from consumers.consumer import Consumer
from node.kafka.decompression import MAX_BATCH_BYTES
from node.kafka.topic_names import downlink, uplink
from node.localstack import LocalStack
from node.localstack.ports import free_port
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from schemas.errors import Invalid
from schemas.limits import MAX_VALUE_BYTES

SHANDONG_UPLINK = uplink("370000")
MAX_GROWTH_BYTES = 50_000_000
BOMB_BYTES = 100_000_000
EXTENSION_B = "𠀀𠮷𪚥"
_LONGEST = "文" * 4000


def corrections(room: int) -> list[dict[str, str]]:
    """Return corrections that come near to the limit; the last text fills up to `room` bytes
    more."""
    texts = [*[_LONGEST] * 21, *["x" * 4000] * 2, "x" * room]
    return [{"field": "text", "value": text} for text in texts]


def correct(settings: Settings, case_id: str, room: int) -> int:
    """Make a correction whose last text has `room` characters; return the length of its value."""
    given = {"case_id": case_id, "corrections": corrections(room), "reason": "更正"}
    return len(do(settings, "correct", **given).event.value)


def test_an_event_just_under_the_size_limit_goes_the_whole_way_and_one_over_it_is_refused(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 18. Seen failing without the size check in `encode` (schemas/codec.py): the
    event is made and dead-lettered where it arrives."""
    with flowing(new_centre, new_shandong):
        case_id = register(new_shandong)
        base = correct(new_shandong, case_id, 1000) - 1000
        room = MAX_VALUE_BYTES - 1 - base
        assert 0 < room < 4000
        assert correct(new_shandong, case_id, room) == MAX_VALUE_BYTES - 1
        with pytest.raises(Invalid, match=f"and may have {MAX_VALUE_BYTES}"):
            correct(new_shandong, case_id, room + 2)
        await_settled(new_nodes)
    assert count(new_shandong, "case_event") == count(new_centre, "case_event") == 3
    longest = "select max(length(value)) from case_event"
    assert rows(new_centre, longest) == [(MAX_VALUE_BYTES - 1,)]
    assert_sound(new_nodes)


def test_rare_characters_come_back_byte_for_byte_and_impossible_ones_are_refused_at_the_desk(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 17. Seen failing without both checks for NUL
    (schemas/validation/field_checks.py, schemas/validation/record_check.py): the record gets as far
    as the database."""
    with flowing(new_centre, new_shandong):
        register(new_shandong, text=EXTENSION_B)
        for bad in ("a\0b", "a\ud800b"):
            with pytest.raises(Invalid, match=r"NUL|surrogate"):
                register(new_shandong, text=bad)
        person = {"name": "名" * 350_000, "id_type": "resident_id", "id_number": "1"}
        with pytest.raises(Invalid, match="at most"):
            register(new_shandong, petitioner=person)
        await_settled(new_nodes)
    shown = "select body ->> 'text', fold -> 'registration' ->> 'text' from case_event "
    shown += "join petition_case using (case_id)"
    assert {text for row in rows(new_centre, shown) for text in row if text} == {EXTENSION_B}
    assert count(new_shandong, "case_event") == count(new_centre, "case_event") == 1
    assert_sound(new_nodes)


def test_bombs_in_a_topic_cost_next_to_no_memory_and_the_next_record_is_applied(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 16. Seen failing without `EOFError` among the damages (schemas/codec.py): the
    process ends. That no item of an array is free of charge is held by
    tests/unit/test_schemas_bombs.py."""
    own = new_shandong.model_copy(update={"metrics_port": free_port()})
    process = Process(new_nodes, "370000", "consume", own)
    try:
        process.await_ready()
        good = event("110000-20260401-7K3M9QXA")
        send(new_shandong, downlink("370000"), [raw(good)])
        eventually(lambda: count(new_shandong, "case_event") == 1, "the first event")
        forget_peak(process.pid)
        before = resident_bytes(process.pid)
        key, _, headers = raw(good)
        bombs = [(key, bomb, headers) for bomb in (ARRAY_BOMB, TEXT_BOMB)]
        last = event("110000-20260401-7K3M9QXB")
        send(new_shandong, downlink("370000"), [*bombs * 10, raw(last)])
        eventually(lambda: count(new_shandong, "case_event") == 2, "the event after the bombs")
        assert process.is_alive
        assert resident_bytes(process.pid, peak=True) - before < MAX_GROWTH_BYTES
        assert rows(new_shandong, "select distinct reason from dead_letter") == [("malformed",)]
        assert count(new_shandong, "dead_letter") == 20
        assert process.stop() == 0
    finally:
        process.kill()


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_a_compression_bomb_stays_packed_is_dead_lettered_and_the_next_record_is_applied(
    new_shandong: Settings, new_nodes: LocalStack, codec: str
) -> None:
    """docs/faults.md 16. Seen failing without the bound of node/kafka/decompression.py: it grows by
    200 MB, cannot write the dead letter, and ends at every start."""
    own = new_shandong.model_copy(update={"metrics_port": free_port()})
    process = Process(new_nodes, "370000", "consume", own)
    try:
        process.await_ready()
        forget_peak(process.pid)
        before = resident_bytes(process.pid)
        send_bomb(new_shandong, codec)
        send(new_shandong, downlink("370000"), [raw(event("110000-20260401-7K3M9QXA"))])
        eventually(lambda: count(new_shandong, "case_event") == 1, "the event after the bomb")
        assert resident_bytes(process.pid, peak=True) - before < MAX_GROWTH_BYTES
        kept = rows(new_shandong, "select reason, detail from dead_letter")
        assert kept == [
            ("too_large", f"a compressed batch that unpacks to more than {MAX_BATCH_BYTES} bytes")
        ]
        assert process.stop() == 0
    finally:
        process.kill()


def test_a_value_larger_than_the_dead_letter_topic_takes_is_kept_in_the_table(
    new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 16. Seen failing without `_MOST_VALUE_BYTES`: the loop ends at every start."""
    metrics = Metrics()
    with running(Consumer(new_shandong, metrics), metrics):
        send_bomb(new_shandong, "lz4", 5_000_000)
        send(new_shandong, downlink("370000"), [raw(event("110000-20260401-7K3M9QXA"))])
        eventually(lambda: count(new_shandong, "case_event") == 1, "the event after it")
    assert rows(new_shandong, "select reason, length(value) from dead_letter") == [
        ("too_large", 5_000_000)
    ]


def send_bomb(settings: Settings, codec: str, size: int = BOMB_BYTES) -> None:
    """Send a compressed record whose value is `size` zero bytes."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        api_version=(4, 0),
        compression_type=codec,
        max_request_size=2 * BOMB_BYTES,
        batch_size=1,
    )
    try:
        sent = producer.send(downlink("370000"), bytes(size), b"k", partition=0)
        sent.get(timeout=WAIT_SECONDS)
    finally:
        producer.close(timeout=1)
