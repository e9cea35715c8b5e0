"""Invented events 虚构事件 of one province: ten a case, 0.9 kB on average, all legal."""

from collections.abc import Iterator
from random import Random
from typing import Any

from benchmarks.texts import Texts
from cases.clocks import names
from node.keys.office import Office
from schemas.event import Event
from schemas.wire import make_event

EVENTS_PER_CASE = 10

# The clocks that an event of a claim starts, and their days.
_CLOCKS = {
    "case.registered": {names.DISPOSAL: 15},
    "case.accepted": {names.REPLY: 60},
    "case.served": {names.REVIEW_REQUEST: 30, names.EVALUATION: 30},
}
_DAY_MICROS = 86_400_000_000

_SEED = 20260105
_START_MICROS = 1_767_600_000_000_000  # 2026-01-05T08:00:00Z
_BETWEEN_MICROS = 1_000
_Step = tuple[str, dict[str, Any], str, int]

_PROGRESS: _Step = ("case.progressed", {}, "progress", 420)
# (type, fields, the field that holds prose, its characters)
_LIFE: tuple[_Step, ...] = (
    ("case.registered", {"channel": "web", "purpose": "申诉"}, "text", 500),
    ("case.accepted", {"unit": "虚构市住建局", "procedure": "ordinary"}, "note", 60),
    *(_PROGRESS,) * 3,
    ("case.decided", {"outcome": "supported"}, "opinion", 600),
    ("case.served", {"method": "online"}, "", 0),
    ("case.closed", {}, "note", 60),
    ("evaluation.recorded", {"object": "unit", "satisfaction": "satisfied"}, "comment", 120),
    ("evaluation.recorded", {"object": "office", "satisfaction": "satisfied"}, "comment", 120),
)
_PROGRESS_STEP = _LIFE.index(_PROGRESS)


def events_together(office: Office, events: int) -> Iterator[Event]:
    """Each case's events behind one another, as an import of a register makes them."""
    maker = _Maker(office)
    for case in range(events // EVENTS_PER_CASE):
        for step in range(EVENTS_PER_CASE):
            yield maker.event(case, step)


def events_apart(office: Office, events: int) -> Iterator[Event]:
    """First the registrations of all cases, then all second events, and so on: as days bring them.

    No batch has many events of one case, which is the hardest order for a projection.
    """
    maker = _Maker(office)
    for step in range(EVENTS_PER_CASE):
        for case in range(events // EVENTS_PER_CASE):
            yield maker.event(case, step)


def events_of_length(office: Office, events: int, length: int) -> Iterator[Event]:
    """Cases of `length` events each: registered, then progress after progress."""
    maker = _Maker(office)
    for case in range(events // length):
        for number in range(length):
            yield maker.event(case, _PROGRESS_STEP if number else 0, number)


class _Maker:
    """Makes the event at a place of a case's life; ids and instants rise with every call."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._texts = Texts(_SEED)
        self._random = Random(f"{_SEED}/{office.node}")  # ids of its own
        self._at = _START_MICROS

    def event(self, case: int, step: int, number: int | None = None) -> Event:
        """Event `number` of a case, from 0; usually its `step` in life."""
        number = step if number is None else number
        type_, fields, prose, characters = _LIFE[step]
        case_id = f"{self._office.node}-20260105-B{case:07d}"
        body = {**fields, prose: self._texts.prose(characters)} if prose else {**fields}
        self._at += _BETWEEN_MICROS
        if step == 0:
            body |= self._registration(case, case_id)
        if type_ in _CLOCKS:
            body["clocks"] = [self._clock(*one) for one in _CLOCKS[type_].items()]
        return make_event(
            f"petition.{type_}.v1",
            event_id=self._event_id(),
            case_id=case_id,
            version=number + 1,
            emitter=self._office.node,
            emitter_sequence=number + 1,
            occurred_at=self._at,
            recorded_at=self._at,
            actor="bench",
            rule_set="XF2022",
            body=body,
        )

    def _clock(self, name: str, days: int) -> dict[str, Any]:
        due_at = self._at + days * _DAY_MICROS
        return {
            "clock": name,
            "started_at": self._at,
            "due_at": due_at,
            "provisional": False,
            "calendar": "",
        }

    def _registration(self, case: int, case_id: str) -> dict[str, Any]:
        petitioner = {"name": "张虚构", "id_number": f"BENCH{case:013d}", "phone": "00000000000"}
        office = self._office
        sealed, _ = office.sealer.seal(case_id, petitioner, office.readers())
        return {
            "origin_number": f"BENCH-{case:07d}",
            "received_at": self._at,
            "title": self._texts.prose(20),
            "area": office.node,
            "content_category_1": "城乡建设",
            "petition_class": "claim",
            "petitioner": sealed,
        }

    def _event_id(self) -> str:
        """A UUIDv7 of the invented instant and seeded bits."""
        bits = self._random.getrandbits(74)
        tail = f"{0x8000 | bits >> 60 & 0x3FFF:04x}-{bits & 0xFFFFFFFFFFFF:012x}"
        head = f"{self._at // 1000:012x}"
        return f"{head[:8]}-{head[8:]}-7{bits >> 48 & 0xFFF:03x}-{tail}"
