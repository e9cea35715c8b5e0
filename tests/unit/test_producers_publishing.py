"""After a batch of sends a prefix of each case is marked, and the first failure is named."""

from typing import Any

from kafka import errors as kafka_errors

from node.runtime.errors import Transient
from producers.relay.outbox_reader import Pending
from producers.relay.publisher import Publisher, TopicsRefused, _FailedFuture, outcomes


class Acknowledged:
    is_done = True
    exception = None

    def __init__(self, offset: int) -> None:
        self.value = type("Metadata", (), {"partition": 0, "offset": offset})


class Unanswered:
    is_done = False
    exception = None
    value = None


def row(number: int, case_id: str, topic: str = "up") -> Pending:
    return Pending(number, topic, case_id, b"", b"", [], urgent=False)


def marked(rows: list[Pending], futures: list[Any]) -> list[int]:
    return [one.id for one in outcomes(rows, futures)[0]]


def test_nothing_of_a_case_after_its_first_failure_is_marked() -> None:
    rows = [row(1, "a"), row(2, "a"), row(3, "b"), row(4, "a")]
    futures = [
        Acknowledged(0),
        _FailedFuture(kafka_errors.KafkaTimeoutError("late")),
        Acknowledged(1),
        Acknowledged(2),
    ]
    assert marked(rows, futures) == [1, 3]


def test_a_failure_on_one_topic_does_not_hold_up_the_case_on_another() -> None:
    rows = [row(1, "a", "down.1"), row(2, "a", "down.2")]
    assert marked(rows, [Unanswered(), Acknowledged(5)]) == [2]


def test_an_unanswered_send_is_transient() -> None:
    _, failure = outcomes([row(1, "a")], [Unanswered()])
    assert isinstance(failure, Transient)
    assert failure.dependency == "kafka"


def test_a_forbidden_topic_is_named_and_set_aside() -> None:
    refused = _FailedFuture(kafka_errors.TopicAuthorizationFailedError("petition.uplink.370000"))
    _, failure = outcomes([row(1, "a")], [refused])
    assert isinstance(failure, TopicsRefused)
    assert failure.topics == ["up"]
    assert str(failure).startswith("topic up may not be written by this node")


def test_all_acknowledged_is_all_marked_without_failure() -> None:
    published, failure = outcomes([row(1, "a"), row(2, "a")], [Acknowledged(7), Acknowledged(8)])
    assert [(one.id, one.partition, one.offset) for one in published] == [(1, 0, 7), (2, 0, 8)]
    assert failure is None


class Stuck:
    """A producer one of whose batches never ends."""

    def __init__(self) -> None:
        self.flushes = 0

    def flush(self, timeout: float) -> None:
        self.flushes += 1
        raise kafka_errors.KafkaTimeoutError(f"not within {timeout}")


def test_after_a_failure_nobody_waits_for_what_never_ends() -> None:
    """Seen failing with one flush of 40 s: the relay stood still after the broker's return."""
    stuck: Any = Stuck()
    publisher = Publisher.__new__(Publisher)
    publisher._producer = stuck
    publisher._flush_seconds = 0.2
    publisher._await(
        [Acknowledged(1), _FailedFuture(kafka_errors.KafkaTimeoutError("expired")), Unanswered()],
        {"up"},
    )
    assert stuck.flushes == 1
    publisher._await([Acknowledged(1), Unanswered()], {"up"})
    assert stuck.flushes > 2
