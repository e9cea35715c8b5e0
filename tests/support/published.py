"""A case with events of six types on a topic, as third parties find them."""

from typing import Any

from support.world import do, eventually, rows, running

from node.localstack.stack import stack_settings
from node.runtime.metrics import Metrics
from producers.relay.relay import Relay

NODE = "110000"
TOPIC = f"petition.uplink.{NODE}"
# Out of the basic plane, of two bytes, and marks: what a careless reader breaks.
TITLE = "供暖不足 – 𠮷 é “引号”"
_PENDING = "select count(*) from outbox where published_at is null"
_LIFE: list[tuple[str, dict[str, Any]]] = [
    ("accept", {"unit": "示例单位", "procedure": "ordinary"}),
    ("decide", {"outcome": "supported", "opinion": "情况属实(虚构)。"}),
    ("serve", {"method": "online"}),
    ("close", {}),
    ("evaluate", {"object": "unit", "satisfaction": "satisfied"}),
]
EVENTS = 1 + len(_LIFE)


def publish_a_case() -> str:
    """Publish a case that lived and was closed in Beijing; return its id."""
    settings, metrics = stack_settings(NODE), Metrics()
    petitioner = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}
    given = {"title": TITLE, "channel": "web", "accused": ["甲", "乙"], "petitioner": petitioner}
    case_id = do(settings, "register", **given).case.case_id
    for name, given in _LIFE:
        do(settings, name, case_id=case_id, **given)
    with running(Relay(settings, metrics), metrics):
        eventually(lambda: rows(settings, _PENDING) == [(0,)], "the outbox is empty")
    return case_id
