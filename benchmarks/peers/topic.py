"""What a topic holds, as far as the peers' runs must know it."""

from contextlib import closing
from typing import Any

from cases.nodes import NATIONAL
from node.kafka import clients
from node.localstack.stack import stack_settings
from node.runtime.errors import PetitionLinkError
from schemas.envelope import decode_envelope

_ANSWER_MS = 20_000


def last_event_ids(topic: str, events: int) -> list[str]:
    """The event id of the last record of every partition that has any.

    Raises `PetitionLinkError` unless `topic` holds exactly `events` records, from offset 0 on.
    """
    with closing(clients.plain_consumer(stack_settings(NATIONAL), "bench")) as client:
        places = [
            clients.TopicPartition(topic, number) for number in client.partitions_for_topic(topic)
        ]
        ends: dict[Any, int] = client.end_offsets(places, timeout_ms=_ANSWER_MS)
        if sum(ends.values()) != events:
            raise PetitionLinkError(f"{topic} holds {sum(ends.values())} records, not {events}")
        return [_last(client, place, end) for place, end in ends.items() if end]


def _last(client: Any, place: Any, end: int) -> str:
    client.assign([place])
    client.seek(place, end - 1)
    records = client.poll(_ANSWER_MS, 1).get(place, [])
    if not records:
        raise PetitionLinkError(f"{place.topic} partition {place.partition} does not answer")
    event_id: str = decode_envelope(records[-1].value)["event_id"]
    return event_id
